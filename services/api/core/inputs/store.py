"""Where inputs are in the object store, and how long.

    inputs/<owner digest>/<id>.<ext>   the file: all of an owner can be found without reading anything
    inputs/<id>/input.json             the record: an input without one does not exist
    inputs/<id>/holds/<job id>         a job names the input, or was about to when its gateway went down
    inputs/<id>/jobs/<job id>          a job names the input, and was seen to exist

The file is written before its record, and deleted after it. The id has the time at which it was made, so that the end
needs no reading; while a job names an input, it does not end.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from services.api.core.inputs.keys import FILE, ROOT, folder, hold_key, owner_digest, record_key
from services.api.core.inputs.record import InputRecord
from services.common.errors import BackendUnavailable, ObjectNotFound
from services.common.failpoints import Failpoints
from services.common.ids import created_at, is_job_id
from services.common.input_errors import InputNotFound
from services.common.ports import ObjectStore
from services.common.schemas import JobMessage

_JSON: Final = "application/json"
_EMPTY: Final = (b"", "text/plain")  # a hold


class InputStore:
    """`clock` is that of the ids, in Unix seconds. Every method raises BackendUnavailable."""

    def __init__(
        self,
        objects: ObjectStore,
        clock: Callable[[], float],
        ttl_seconds: float,
        failpoints: Failpoints | None = None,
    ) -> None:
        self._objects = objects
        self._clock = clock
        self._ttl_seconds = ttl_seconds
        self._failpoints = failpoints or Failpoints()

    async def put(self, record: InputRecord, data: bytes) -> None:
        """Store both, the file first. Repeatable."""
        await self._objects.put(record.key, data, record.media_type)
        self._failpoints.reach("gateway.filed")
        await self._write(record)

    async def read(self, input_id: str) -> InputRecord:
        """Return the record. Raises InputNotFound for one that has ended, too."""
        if not is_job_id(input_id):
            raise InputNotFound(input_id)
        if self.expires_at(input_id) <= self._clock() and not await self._held_by(input_id):
            raise InputNotFound(input_id)
        return await self._read(input_id)

    def file(self, record: InputRecord, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield data[start:end] of the file in chunks. Raises ObjectNotFound before the first."""
        return self._objects.get(record.key, start, end)

    async def hold(self, record: InputRecord, job_id: str) -> None:
        """Keep the input for this job, which has no record yet. Raises InputNotFound for one that is being deleted.

        The hold is put before this looks for the input again, and `delete_unheld` deletes the record before it looks
        for holds: so one of the two sees the other.
        """
        await self._objects.put(hold_key(record.id, "holds", job_id), *_EMPTY)
        await self._read(record.id)

    async def release(self, message: JobMessage) -> None:
        """Keep the inputs for this job no longer, and delete those that nothing else keeps. Repeatable."""
        for ref in message.inputs.values():
            if (match := FILE.fullmatch(ref.key)) is None:
                continue
            input_id = match[1]
            await self.forget(input_id, message.job_id)
            try:
                record = await self._read(input_id)
            except InputNotFound:
                continue
            if record.inline or self.expires_at(input_id) <= self._clock():
                await self.delete_unheld(input_id, [record.key])

    async def forget(self, input_id: str, job_id: str) -> None:
        """Delete the job's hold on the input, of either kind. Repeatable."""
        await self._objects.delete([hold_key(input_id, kind, job_id) for kind in ("holds", "jobs")])

    async def confirm(self, input_id: str, job_id: str) -> None:
        """Note that the job exists, so that it is not looked for again. Repeatable."""
        await self._objects.put(hold_key(input_id, "jobs", job_id), *_EMPTY)
        await self._objects.delete([hold_key(input_id, "holds", job_id)])

    async def delete_unheld(self, input_id: str, keys: Sequence[str]) -> None:
        """Delete the input unless a job holds it; see `hold`. `keys` are those of its file. Repeatable.

        Without a record there is none to delete: it may be another sweeper's, which is about to put it back.
        """
        try:
            record = await self._read(input_id)
        except InputNotFound:
            record = None
        else:
            await self._objects.delete([record_key(input_id)])
        if not await self._held_by(input_id):
            await self.delete(input_id, keys)
        elif record is not None:
            await self._write(record)

    async def delete(self, input_id: str, keys: Sequence[str]) -> None:
        """Delete the input for good, whatever names it; `keys` are those of its file. Repeatable."""
        await self._objects.clear(folder(input_id))
        await self._objects.delete(keys)

    async def keys(self) -> Sequence[str]:
        """Return the keys of all inputs."""
        return await self._objects.list(ROOT)

    async def keys_of_owner(self, owner: str | None) -> Sequence[str]:
        """Return the keys of the owner's files."""
        return await self._objects.list(f"{ROOT}{owner_digest(owner)}/")

    def made_at(self, input_id: str) -> float:
        """Return when the input was made, in Unix seconds."""
        return created_at(input_id)

    def expires_at(self, input_id: str) -> float:
        """Return when the input ends, in Unix seconds, unless a job names it then."""
        return created_at(input_id) + self._ttl_seconds

    async def _held_by(self, input_id: str) -> Sequence[str]:
        return [key for key in await self._objects.list(f"{folder(input_id)}/") if key != record_key(input_id)]

    async def _write(self, record: InputRecord) -> None:
        await self._objects.put(record_key(record.id), record.model_dump_json().encode(), _JSON)

    async def _read(self, input_id: str) -> InputRecord:
        try:
            body = b"".join([chunk async for chunk in self._objects.get(record_key(input_id))])
            return InputRecord.decode(body)
        except ObjectNotFound as exc:
            raise InputNotFound(input_id) from exc
        except ValueError as exc:
            raise BackendUnavailable("objects", f"the record of input {input_id} cannot be read") from exc
