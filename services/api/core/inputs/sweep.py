"""Deletes the inputs that have ended, and forgets the jobs that keep them no longer."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from typing import Final

from services.api.core.inputs.keys import InputKeys, by_id
from services.api.core.inputs.store import InputStore
from services.common.backends import Backends
from services.common.errors import JobNotFound, JobRemoved, StatusRebuilding
from services.common.faults.items import FaultyItems
from services.common.ids import created_at
from services.common.schemas import StatusRecord
from services.common.statuses.acceptance import is_given_up

# Clocks of gateways differ, and a file comes before its record: so much later than it ends an input is deleted.
LATE_SECONDS: Final = 600.0
# A job that is still not known so long after its id was made never will be: its gateway went down, or it was refused.
UNDECIDED_SECONDS: Final = 3600.0

ReadJob = Callable[[str], Awaitable[StatusRecord]]


class InputSweep:
    """`read` reads a job, as `Gateway.read` does. An input that fails is left out, and told in `faulty`."""

    def __init__(self, store: InputStore, backends: Backends, read: ReadJob) -> None:
        self.faulty = FaultyItems(backends, "the sweep over inputs")
        self._store = store
        self._clock = backends.clock
        self._read = read

    async def sweep(self, removed: Collection[str]) -> None:
        """Make one pass; `removed` are the ids of jobs that were removed lately. Reads nothing of most inputs."""
        self.faulty.begin()
        due = await asyncio.to_thread(self._due, await self._store.keys(), removed)  # of perhaps very many
        for input_id, keys in due.items():
            async with self.faulty.apart(input_id):
                await self._sweep(input_id, keys, removed)

    def _due(self, keys: Iterable[str], removed: Collection[str]) -> Mapping[str, InputKeys]:
        """Return the inputs that have something to be done about them."""
        return {
            input_id: found
            for input_id, found in by_id(keys).items()
            if found.holds or not found.jobs.isdisjoint(removed) or (not found.jobs and self._is_over(input_id))
        }

    def _is_over(self, input_id: str) -> bool:
        return self._store.expires_at(input_id) + LATE_SECONDS < self._clock()

    async def _sweep(self, input_id: str, keys: InputKeys, removed: Collection[str]) -> None:
        kept = set(keys.jobs)
        for job_id in keys.jobs.intersection(removed):
            await self._store.forget(input_id, job_id)
            kept.discard(job_id)
        for job_id in keys.holds:
            if not await self._is_decided(input_id, job_id):
                kept.add(job_id)
        if not kept and self._is_over(input_id):
            await self._store.delete_unheld(input_id, keys.files)

    async def _is_decided(self, input_id: str, job_id: str) -> bool:
        """Confirm the hold of a job that exists, and forget that of one which does not. Return True in this case."""
        if created_at(job_id) + UNDECIDED_SECONDS > self._clock():
            return False
        try:
            record = await self._read(job_id)
        except StatusRebuilding:
            return False
        except (JobNotFound, JobRemoved):
            record = None
        if record is None or is_given_up(record):
            await self._store.forget(input_id, job_id)
            return True
        await self._store.confirm(input_id, job_id)
        return False
