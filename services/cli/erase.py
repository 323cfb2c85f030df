"""`studio erase`: deletes an owner's jobs and artifacts from every backend. Needs no gateway."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from pydantic import BaseModel, ValidationError

from services.api.core.gateway import Gateway
from services.common.backends import Backends, open_backends
from services.common.catalogue import Catalogue
from services.common.errors import JobNotFound, JobRemoved, NewerVersion
from services.common.ids import is_job_id
from services.common.manifests import Manifests
from services.common.ports import MAX_DEAD_LETTERS
from services.common.schemas import StatusRecord
from services.common.settings import Settings

PAGE: Final = 100
AT_ONCE: Final = 16  # manifests read at a time


@dataclass
class Erased:
    """The result. `live` of the `jobs` were waiting or running; the owner of `unknown` jobs cannot be read yet."""

    owner: str
    jobs: set[str] = field(default_factory=set)
    live: set[str] = field(default_factory=set)
    dead_letters: int = 0
    unknown: int = 0

    def summary(self) -> dict[str, str | int]:
        """Return the counts."""
        counts = {"jobs": len(self.jobs), "live": len(self.live), "dead_letters": self.dead_letters}
        return {"owner": self.owner, **counts, "unknown": self.unknown}


async def run_erase(settings: Settings, catalogue: Catalogue, owner: str, on_progress: Callable[[str], None]) -> Erased:
    """Erase everything of the owner. Repeatable; must be repeated after it raises BackendUnavailable."""
    async with open_backends(settings) as backends:
        return await Eraser(backends, Gateway(backends, catalogue, settings), owner).erase(on_progress)


class Eraser:
    """Removes job by job, as a client would. The tombstone goes first, so a worker drops a job it still holds."""

    def __init__(self, backends: Backends, gateway: Gateway, owner: str) -> None:
        self._backends = backends
        self._gateway = gateway
        self._manifests = Manifests(backends.objects)
        self._erased = Erased(owner)

    async def erase(self, on_progress: Callable[[str], None]) -> Erased:
        on_progress("jobs the status store knows")
        await self._records()
        on_progress("jobs only the object store knows")
        job_ids = sorted(await self._stored())
        for start in range(0, len(job_ids), AT_ONCE):
            on_progress(f"jobs only the object store knows: {start} of {len(job_ids)} looked at")
            await asyncio.gather(*(self._archived(job_id) for job_id in job_ids[start : start + AT_ONCE]))
        await self._records()  # made meanwhile
        on_progress("dead letters")
        await self._letters()
        return self._erased

    async def _records(self) -> None:
        """Remove the recorded jobs, from the first page each time: removed jobs leave the owner's index."""
        owner, erased = self._erased.owner, self._erased
        while jobs := await self._backends.statuses.list(limit=PAGE, owner=owner):
            erased.live |= {job.job_id for job in jobs if not job.state.terminal}
            await self._remove(jobs)

    async def _letters(self) -> None:
        """Drop the owner's dead letters, those no worker understood included if they name the owner."""
        for letter in await self._backends.broker.dead_letters(MAX_DEAD_LETTERS):
            if _owner_in(letter.body) == self._erased.owner and await self._backends.broker.drop(letter.message_id):
                self._erased.dead_letters += 1

    async def _stored(self) -> set[str]:
        keys = await self._backends.objects.list("jobs/")
        return {job_id for key in keys if is_job_id(job_id := key.split("/")[1])}

    async def _archived(self, job_id: str) -> None:
        try:
            record = await self._manifests.read(job_id)
        except JobRemoved:
            await self._manifests.clear(job_id)  # a removal that was cut short
            return
        except NewerVersion:
            self._erased.unknown += 1
            return
        if record is not None and record.message.owner == self._erased.owner:
            await self._remove([record])
        elif record is None:
            try:
                await self._backends.statuses.get(job_id)  # a live job of another owner
            except JobNotFound:
                self._erased.unknown += 1

    async def _remove(self, records: Iterable[StatusRecord]) -> None:
        for record in records:
            try:
                await self._gateway.remove(record.job_id)
            except (JobNotFound, JobRemoved):  # by another process, a moment ago
                await self._manifests.clear(record.job_id)
            self._erased.jobs.add(record.job_id)


class _OnlyOwner(BaseModel):
    owner: str | None = None


def _owner_in(body: bytes) -> str | None:
    try:
        return _OnlyOwner.model_validate_json(body).owner
    except ValidationError:
        return None
