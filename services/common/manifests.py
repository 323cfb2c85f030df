"""Manifests and tombstones: the record of a finished job in the object store.

`jobs/<id>/manifest.json` is written after a job finished, `removed/<id>.json` before its result is removed. They
are two keys because no S3 operation we may rely on would keep a late manifest from overwriting a tombstone.
"""

import time

import structlog

from services.common.errors import BackendUnavailable, JobRemoved, NewerVersion, ObjectNotFound
from services.common.ports import ObjectStore
from services.common.schemas import Manifest, StatusRecord, Tombstone

TOMBSTONES = "removed/"
JSON = "application/json"

log = structlog.get_logger(__name__)


class _Unreadable(BackendUnavailable):
    pass


class Manifests:
    def __init__(self, objects: ObjectStore) -> None:
        self._objects = objects

    async def read(self, job_id: str) -> StatusRecord | None:
        """The record of a finished job, or None. Raises JobRemoved when its result was removed."""
        try:
            tombstone = await self._tombstone(f"{TOMBSTONES}{job_id}.json")
        except _Unreadable as exc:
            raise JobRemoved(job_id) from exc  # the key alone says so; the owner is lost
        if tombstone is not None:
            raise JobRemoved(job_id, tombstone.owner)
        data = await self._read(f"{_folder(job_id)}manifest.json")
        return None if data is None else Manifest.decode(data).record

    async def write(self, record: StatusRecord) -> None:
        """Store the manifest of a terminal record. Repeatable."""
        key = f"{_folder(record.job_id)}manifest.json"
        await self._objects.put(key, Manifest(record=record).model_dump_json().encode(), JSON)

    async def bury(self, record: StatusRecord) -> None:
        """Store the tombstone of a job, before its result is deleted."""
        tombstone = Tombstone(job_id=record.job_id, owner=record.message.owner, removed_at=time.time())
        await self._objects.put(f"{TOMBSTONES}{record.job_id}.json", tombstone.model_dump_json().encode(), JSON)

    async def clear(self, job_id: str) -> None:
        """Delete the artifacts and the manifest. Repeatable."""
        if keys := await self._objects.list(_folder(job_id)):
            await self._objects.delete(keys)

    async def removed_at(self, job_id: str) -> float | None:
        """Return when the job's result was removed, in Unix seconds; None when it was not."""
        tombstone = await self._tombstone(f"{TOMBSTONES}{job_id}.json")
        return None if tombstone is None else tombstone.removed_at

    async def buried(self) -> list[Tombstone]:
        """Return the tombstones, so that a removal cut short by a crash can be completed.

        A tombstone that cannot be read is logged and left out.
        """
        found = []
        for key in await self._objects.list(TOMBSTONES):
            try:
                tombstone = await self._tombstone(key)
            except (NewerVersion, _Unreadable) as exc:
                log.warning("tombstone left out", key=key, reason=str(exc))
                continue
            if tombstone is not None:
                found.append(tombstone)
        return found

    async def forget(self, job_id: str) -> None:
        """Delete the tombstone: the job counts as never made."""
        await self._objects.delete([f"{TOMBSTONES}{job_id}.json"])

    async def _tombstone(self, key: str) -> Tombstone | None:
        body = await self._read(key)
        try:
            return None if body is None else Tombstone.decode(body)
        except ValueError as exc:
            raise _Unreadable("objects", f"{key} cannot be read") from exc

    async def _read(self, key: str) -> bytes | None:
        try:
            return b"".join([chunk async for chunk in self._objects.get(key)])
        except ObjectNotFound:
            return None


def _folder(job_id: str) -> str:
    return f"jobs/{job_id}/"
