"""`studio erase`: deletes an owner's jobs, artifacts and inputs from every backend. Needs no gateway."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Final

from pydantic import BaseModel, ValidationError

from services.api.auth.keys import KeyRing
from services.api.core.gateway import Gateway
from services.api.core.inputs.keys import by_id
from services.common.backends import Backends, open_backends
from services.common.catalogue.catalogue import Catalogue
from services.common.errors import JobNotFound, JobRemoved, NewerVersion, RecordUnreadable
from services.common.faults.items import FaultyItems
from services.common.manifests import Manifests
from services.common.ports import MAX_DEAD_LETTERS
from services.common.schemas import StatusRecord
from services.common.settings import Settings

PAGE: Final = 100
AT_ONCE: Final = 16  # manifests read at a time
ALIKE: Final = 5  # owners named at most


@dataclass
class Erased:
    """The result. `live` of the `jobs` were waiting or running; the owner of `unknown` jobs cannot be read yet.

    `failed` are jobs and inputs that could not be erased, `owners` all owners that were met.
    """

    owner: str
    jobs: set[str] = field(default_factory=set)
    inputs: set[str] = field(default_factory=set)
    live: set[str] = field(default_factory=set)
    failed: set[str] = field(default_factory=set)
    dead_letters: int = 0
    unknown: int = 0
    owners: set[str] = field(default_factory=set)

    @property
    def owner_unknown(self) -> bool:
        """True if there is no such owner: nothing was found, and nothing of theirs was removed before."""
        return not (self.jobs or self.inputs or self.failed or self.dead_letters or self.owner in self.owners)

    @property
    def alike(self) -> list[str]:
        """The owners whose names hold this one, are held by it, or are spelt nearly like it."""
        wanted, names = _bare(self.owner), {owner: _bare(owner) for owner in self.owners}
        near = get_close_matches(wanted, names.values(), ALIKE)
        return sorted(each for each, name in names.items() if wanted in name or name in wanted or name in near)[:ALIKE]

    def summary(self) -> dict[str, str | int]:
        """Return the counts."""
        counts = {"jobs": len(self.jobs), "live": len(self.live), "inputs": len(self.inputs)}
        return {
            "owner": self.owner,
            **counts,
            "dead_letters": self.dead_letters,
            "unknown": self.unknown,
            "failed": len(self.failed),
        }


async def run_erase(settings: Settings, catalogue: Catalogue, owner: str, on_progress: Callable[[str], None]) -> Erased:
    """Erase everything of the owner. Repeatable; must be repeated after it raises BackendUnavailable."""
    async with open_backends(settings) as backends:
        eraser = Eraser(backends, Gateway(backends, catalogue, settings), owner)
        erased = await eraser.erase(on_progress)
        if erased.owner_unknown:
            erased.owners |= _owners_of_keys(settings)
            await eraser.meet_owners()
        return erased


class Eraser:
    """Removes job by job, as a client would. The tombstone goes first, so a worker drops a job it still holds."""

    def __init__(self, backends: Backends, gateway: Gateway, owner: str) -> None:
        self._backends, self._gateway, self._stored = backends, gateway, gateway.inputs.store
        self._manifests = Manifests(backends.objects)
        self._erased = Erased(owner)
        self._faulty = FaultyItems(backends, "the erasure")

    async def erase(self, on_progress: Callable[[str], None]) -> Erased:
        """Return what was erased. A job that fails is told and left out. Raises BackendUnavailable."""
        on_progress("jobs the status store knows")
        await self._records()
        on_progress("jobs only the object store knows")
        job_ids = await self._manifests.stored()
        for start in range(0, len(job_ids), AT_ONCE):
            on_progress(f"jobs only the object store knows: {start} of {len(job_ids)} looked at")
            await asyncio.gather(*(self._archived(job_id) for job_id in job_ids[start : start + AT_ONCE]))
        await self._records()  # made meanwhile
        on_progress("inputs")
        await self._inputs()
        on_progress("dead letters")
        await self._letters()
        self._erased.failed = self._faulty.found - self._erased.jobs - self._erased.inputs
        return self._erased

    async def meet_owners(self) -> None:
        """Note the owners of live jobs, and of jobs that were removed before, too."""
        last = ""
        while page := await self._backends.statuses.list(last, PAGE):
            self._meet(*(record.message.owner for record in page))
            last = page[-1].job_id
        job_ids = await self._manifests.buried()
        for start in range(0, len(job_ids), AT_ONCE):
            await asyncio.gather(*(self._buried(job_id) for job_id in job_ids[start : start + AT_ONCE]))

    def _meet(self, *owners: str | None) -> None:
        self._erased.owners |= {owner for owner in owners if owner}

    async def _buried(self, job_id: str) -> None:
        async with self._faulty.apart(job_id):
            try:
                await self._manifests.read(job_id)
            except JobRemoved as exc:
                self._meet(exc.owner)

    async def _records(self) -> None:
        """Remove the recorded jobs."""
        last = ""
        while jobs := await self._backends.statuses.list(last, PAGE, owner=self._erased.owner):
            self._erased.live |= {job.job_id for job in jobs if not job.state.terminal}
            await self._remove(jobs)
            last = jobs[-1].job_id

    async def _inputs(self) -> None:
        """Delete the files that the owner sent in."""
        for input_id, keys in by_id(await self._stored.keys_of_owner(self._erased.owner)).items():
            async with self._faulty.apart(input_id):
                await self._stored.delete(input_id, keys.files)
                self._erased.inputs.add(input_id)

    async def _letters(self) -> None:
        """Drop the owner's dead letters, those no worker understood included if they name the owner."""
        for letter in await self._backends.broker.dead_letters(MAX_DEAD_LETTERS):
            owner = _owner_in(letter.body)
            if owner == self._erased.owner and await self._backends.broker.drop(letter.message_id):
                self._erased.dead_letters += 1
            self._meet(owner if owner != self._erased.owner else None)

    async def _archived(self, job_id: str) -> None:
        async with self._faulty.apart(job_id):
            try:
                record = await self._manifests.read(job_id)
            except JobRemoved as exc:
                self._meet(exc.owner)
                await self._manifests.clear(job_id)  # a removal that was cut short
            except (NewerVersion, RecordUnreadable):
                self._erased.unknown += 1
            else:
                await self._remove_of_owner(job_id, record)

    async def _remove_of_owner(self, job_id: str, record: StatusRecord | None) -> None:
        if record is not None:
            self._meet(record.message.owner)
            if record.message.owner == self._erased.owner:
                await self._remove([record])
            return
        try:
            await self._backends.statuses.get(job_id)  # a live job of another owner
        except JobNotFound:
            self._erased.unknown += 1

    async def _remove(self, records: Iterable[StatusRecord]) -> None:
        for record in records:
            async with self._faulty.apart(record.job_id):
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


def _owners_of_keys(settings: Settings) -> set[str]:
    """Return the owners of the keys in the settings; none for keys that cannot be read, which nothing here needs."""
    try:
        ring = KeyRing.of(settings)
    except (OSError, ValueError):
        ring = None
    return {key.owner for key in ring.keys} if ring else set()


def _bare(owner: str) -> str:
    """Return the name without `key:` or `visitor:`, as people write it."""
    return owner.rpartition(":")[2].strip().casefold()
