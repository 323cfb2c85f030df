"""Who waits for what: every model's queue and workers, looked at together and at most about once a second."""

import asyncio
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from services.api.core.model_queue import Eta, LiveJob, ModelQueue
from services.common.backends import Backends
from services.common.catalogue import Catalogue
from services.common.errors import BackendUnavailable
from services.common.ids import is_job_id
from services.common.presence import WORKERS, Presence, read_presences
from services.common.schemas import State, StatusRecord

FRESH_SECONDS: Final = 1.0
PATIENCE_SECONDS: Final = 0.5  # for a look that may tell of a job which the last one was too early for
BRIEF_SECONDS: Final = 0.05  # for one that tells what is known only more freshly
OLD_SECONDS: Final = 30.0  # what was seen is told for so long, or twice the rest where that is longer
LOOK_SHARE: Final = 0.1  # of the time may go into looking, however long the queues are
PAGE: Final = 200
TOLD: Final = "told"  # in the cache: the least position a job was told
TOLD_SECONDS: Final = 3600.0
MORE_THAN_ANY: Final = sys.maxsize


@dataclass(frozen=True)
class Place:
    """A queued job's: how many come before it, when it may be done, and whether its model is only being loaded."""

    position: int
    eta: Eta | None
    loading: bool


class QueuePositions:
    """Any number of polls share one look, so that they cost nothing but a key of the cache each."""

    def __init__(self, backends: Backends, catalogue: Catalogue) -> None:
        self._backends = backends
        self._catalogue = catalogue
        self._task: asyncio.Task[None] | None = None
        self._queues: dict[str, ModelQueue] = {}
        self._looked_at = 0.0  # Unix seconds
        self._rest_until = 0.0  # on the event loop's clock
        self._good_until = 0.0  # Unix seconds
        self._present: list[Presence] = []

    async def queues(self, since: float = 0.0) -> dict[str, ModelQueue]:
        """By model, all of the catalogue; where that can be had soon, not from before `since` (Unix seconds).

        Looking at long queues takes a while, and nobody is kept waiting for that who could be told what was seen last.
        Raises BackendUnavailable.
        """
        needed = max(since, time.time() - FRESH_SECONDS)
        if self._looked_at >= needed:
            return self._queues
        known = self._queues and since <= self._looked_at
        with suppress(TimeoutError):
            async with asyncio.timeout(BRIEF_SECONDS if known else PATIENCE_SECONDS):
                while self._looked_at < needed:
                    await asyncio.shield(self._looking())
        if time.time() > self._good_until:
            raise BackendUnavailable("statuses", "the queues cannot be looked at in time")
        return self._queues

    async def see(self, read: Awaitable[StatusRecord], job_id: str) -> tuple[StatusRecord, Place | None]:
        """What `read` says of this job, and its place as `place` does. Raises what it raises.

        What the place needs is asked for at the same time: with Redis the two share a round trip.
        """
        asked = asyncio.create_task(self._told(job_id))
        record = await read
        return record, (await self._place(record, await asked) if record.state is State.QUEUED else None)

    async def place(self, job: StatusRecord) -> Place | None:
        """None for a job that does not wait, and where it cannot be told."""
        return await self._place(job, await self._told(job.job_id)) if job.state is State.QUEUED else None

    async def _place(self, job: StatusRecord, told: int | None) -> Place | None:
        if told is None:
            return None
        try:
            queue = (await self.queues())[job.message.model]
            if job.job_id not in queue:  # younger than the look, perhaps; and clocks of gateways differ
                queue = (await self.queues(job.created_at))[job.message.model]
                if self._looked_at < job.created_at:
                    return None
            position = queue.position(job.job_id)
            if position < told:
                await self._backends.cache.put(_told_key(job.job_id), b"%d" % position, TOLD_SECONDS)
        except (BackendUnavailable, KeyError):
            return None
        return Place(min(position, told), queue.eta(job.message.params, job.job_id), queue.loading)

    async def _told(self, job_id: str) -> int | None:
        """The least position this job was told, more than any when it was told none; None when nobody knows.

        Another gateway may have looked later than we did, so what was said is kept where all see it.
        """
        if not is_job_id(job_id):
            return None
        try:
            told = await self._backends.cache.get(_told_key(job_id))
        except BackendUnavailable:
            return None
        return MORE_THAN_ANY if told is None else int(told)

    def _looking(self) -> asyncio.Task[None]:
        """The look under way, whoever began it: it goes on although they have lost patience."""
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look())
            self._task.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be waiting
        return self._task

    async def _look(self) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._rest_until - clock())
        looked_at, begin = time.time(), clock()
        try:
            jobs, workers = await asyncio.gather(self._live(), self._workers())
        finally:
            rest = (clock() - begin) / LOOK_SHARE
            self._rest_until = clock() + rest
        self._queues = {
            name: ModelQueue(model, jobs[name], [each for each in workers if each.model == name])
            for name, model in self._catalogue.models.items()
        }
        self._looked_at = looked_at
        self._good_until = time.time() + max(OLD_SECONDS, 2 * rest)

    async def _live(self) -> dict[str, list[LiveJob]]:
        by_model: dict[str, list[LiveJob]] = defaultdict(list)
        page = await self._backends.statuses.list("", PAGE)
        while page:
            for record in page:
                by_model[record.message.model].append(LiveJob.of(record))
            more = len(page) == PAGE
            page = await self._backends.statuses.list(page[-1].job_id, PAGE) if more else []
        return by_model

    async def _workers(self) -> list[Presence]:
        """Those seen last where the cache does not answer: jobs are made all the same."""
        with suppress(BackendUnavailable):
            self._present = read_presences((await self._backends.cache.list(WORKERS)).values())
        return self._present


def _told_key(job_id: str) -> str:
    return f"{TOLD}/{job_id}/least"  # a folder each, which goes with what is in it
