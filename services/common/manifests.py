"""Manifests and tombstones: the record of a finished job in the object store.

`jobs/<id>/manifest.json` is written after a job finished, `removed/<id>.json` before its result is removed. They
are two keys because no S3 operation we may rely on would keep a late manifest from overwriting a tombstone.
"""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from services.common.errors import JobRemoved, ObjectNotFound, RecordUnreadable
from services.common.ids import is_job_id
from services.common.ports import ObjectStore
from services.common.provenance.digests import digest_keys
from services.common.schemas import Manifest, StatusRecord, Tombstone

TOMBSTONES = "removed/"
JSON = "application/json"

Document = TypeVar("Document", Manifest, Tombstone)


class Manifests:
    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def read(self, job_id: str) -> StatusRecord | None:
        """The record of a finished job, or None. Raises JobRemoved when its result was removed."""
        # Both at once: a slow store answers twice in a row too late.
        grave, data = await asyncio.gather(self._read(_grave(job_id)), self._read(f"{_folder(job_id)}/manifest.json"))
        if grave is not None:
            try:
                owner = _own(job_id, "tombstone", grave, Tombstone.decode).owner
            except RecordUnreadable as exc:
                raise JobRemoved(job_id) from exc  # the key alone says so; the owner is lost
            raise JobRemoved(job_id, owner)
        return None if data is None else _own(job_id, "manifest", data, Manifest.decode).record

    async def write(self, record: StatusRecord) -> None:
        """Store the manifest of a terminal record. Repeatable."""
        key = f"{_folder(record.job_id)}/manifest.json"
        await self._objects.put(key, Manifest(record=record).model_dump_json().encode(), JSON)

    async def bury(self, job_id: str, owner: str | None) -> None:
        """Store the tombstone of a job, before its result is deleted."""
        tombstone = Tombstone(job_id=job_id, owner=owner, removed_at=time.time())
        await self._objects.put(_grave(job_id), tombstone.model_dump_json().encode(), JSON)

    async def clear(self, job_id: str) -> None:
        """Delete the artifacts and the manifest, and what others put beside them. Repeatable.

        The entries of their digests go first: they are found by the artifacts.
        """
        await self._objects.delete(digest_keys(await self._objects.list(f"{_folder(job_id)}/"), job_id))
        await self._objects.clear(_folder(job_id))

    async def removed_at(self, job_id: str) -> float | None:
        """Return when the job's result was removed, in Unix seconds; None when it was not."""
        tombstone = await self._tombstone(job_id)
        return None if tombstone is None else tombstone.removed_at

    async def stored(self) -> list[str]:
        """Return the ids of the jobs that have objects."""
        parts = [key.split("/") for key in await self._objects.list("jobs/")]
        return sorted({part[1] for part in parts if len(part) > 2 and is_job_id(part[1])})

    async def buried(self) -> list[str]:
        """Return the ids of the jobs that have tombstones, so that a removal cut short by a crash can be completed."""
        names = [key.removeprefix(TOMBSTONES).removesuffix(".json") for key in await self._objects.list(TOMBSTONES)]
        return [name for name in names if is_job_id(name)]

    async def forget(self, job_id: str) -> None:
        """Delete the tombstone: the job counts as never made."""
        await self._objects.delete([_grave(job_id)])

    async def _tombstone(self, job_id: str) -> Tombstone | None:
        body = await self._read(_grave(job_id))
        return None if body is None else _own(job_id, "tombstone", body, Tombstone.decode)

    async def _read(self, key: str) -> bytes | None:
        try:
            return b"".join([chunk async for chunk in self._objects.get(key)])
        except ObjectNotFound:
            return None


def _own(job_id: str, what: str, body: bytes, decode: Callable[[bytes], Document]) -> Document:
    """Decode the document of this job. Raise RecordUnreadable for a damaged one, and for a copy of another job's."""
    try:
        document = decode(body)
    except ValueError as exc:
        raise RecordUnreadable(job_id, "objects", what) from exc
    if document.job_id != job_id:
        raise RecordUnreadable(job_id, "objects", what)
    return document


def _folder(job_id: str) -> str:
    return f"jobs/{job_id}"


def _grave(job_id: str) -> str:
    return f"{TOMBSTONES}{job_id}.json"
