"""Where inputs are in the object store, and how long.

`inputs/<owner digest>/<id>.<ext>` is the file, so that all of an owner can be found without reading anything.
`inputs/<id>/input.json` is the record: an input without one does not exist. So the file is written first, and deleted
last. The id has the time at which it was made, so that the end needs no reading either.
"""

import hashlib
import re
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping
from typing import Final

from pydantic import ValidationError

from services.api.core.inputs.record import InputRecord
from services.common.errors import BackendUnavailable, ObjectNotFound
from services.common.ids import created_at, is_job_id
from services.common.input_errors import InputNotFound
from services.common.ports import ObjectStore

ROOT: Final = "inputs/"
# Clocks of gateways differ, and a file may come before its record: so much later than it ends an input is deleted.
LATE_SECONDS: Final = 600.0
_JSON: Final = "application/json"
_FILE: Final = re.compile(r"inputs/[0-9a-f]{32}/([0-9a-f-]{36})\.[a-z0-9]+")
_RECORD: Final = re.compile(r"inputs/([0-9a-f-]{36})/.+")


class InputStore:
    """`clock` is that of the ids, in Unix seconds. Every method raises BackendUnavailable."""

    def __init__(self, objects: ObjectStore, clock: Callable[[], float], ttl_seconds: float) -> None:
        self._objects = objects
        self._clock = clock
        self._ttl_seconds = ttl_seconds

    async def put(self, record: InputRecord, data: bytes) -> None:
        """Store both, the file first. Repeatable."""
        await self._objects.put(record.key, data, record.media_type)
        await self._objects.put(_record_key(record.id), record.model_dump_json().encode(), _JSON)

    async def read(self, input_id: str) -> InputRecord:
        """Return the record. Raises InputNotFound for one that has ended, too."""
        if not is_job_id(input_id) or self.expires_at(input_id) <= self._clock():
            raise InputNotFound(input_id)
        try:
            body = b"".join([chunk async for chunk in self._objects.get(_record_key(input_id))])
        except ObjectNotFound as exc:
            raise InputNotFound(input_id) from exc
        try:
            return InputRecord.model_validate_json(body)
        except ValidationError as exc:
            raise BackendUnavailable("objects", f"the record of input {input_id} cannot be read") from exc

    def file(self, record: InputRecord) -> AsyncGenerator[bytes, None]:
        """Yield the file in chunks. Raises ObjectNotFound before the first."""
        return self._objects.get(record.key)

    async def expired(self) -> Mapping[str, list[str]]:
        """Return the keys of all that has ended by id, those of removals that were cut short included."""
        past, found = self._clock() - LATE_SECONDS, _by_id(await self._objects.list(ROOT))
        return {name: keys for name, keys in found.items() if self.expires_at(name) < past}

    async def of_owner(self, owner: str | None) -> Mapping[str, list[str]]:
        """Return the keys of the owner's files by id."""
        return _by_id(await self._objects.list(f"{ROOT}{owner_digest(owner)}/"))

    async def delete(self, input_id: str, keys: Iterable[str]) -> None:
        """Delete the input for good; `keys` are those of its file. Repeatable."""
        await self._objects.clear(f"{ROOT}{input_id}")
        await self._objects.delete([key for key in keys if _FILE.fullmatch(key)])

    def made_at(self, input_id: str) -> float:
        """Return when the input was made, in Unix seconds."""
        return created_at(input_id)

    def expires_at(self, input_id: str) -> float:
        """Return the end of the input in Unix seconds."""
        return created_at(input_id) + self._ttl_seconds


def file_key(owner: str | None, input_id: str, extension: str) -> str:
    """Return the key of an input's file."""
    return f"{ROOT}{owner_digest(owner)}/{input_id}.{extension}"


def owner_digest(owner: str | None) -> str:
    """Return the folder of the owner's files: a name that any object store takes, and that tells nothing."""
    return hashlib.sha256((owner or "").encode()).hexdigest()[:32]


def _record_key(input_id: str) -> str:
    return f"{ROOT}{input_id}/input.json"


def _by_id(keys: Iterable[str]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        match = _FILE.fullmatch(key) or _RECORD.fullmatch(key)
        if match and is_job_id(match[1]):
            found[match[1]].append(key)
    return found
