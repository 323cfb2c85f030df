"""Positions and ETAs of queued jobs: every model's queue and workers, read together at most about once a second."""

import asyncio
import math
import sys
from collections import defaultdict
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from services.api.core.model_queue import Eta, LiveJob, ModelQueue
from services.common.backends import Backends
from services.common.background import shared_task
from services.common.budget import allowed
from services.common.catalogue.catalogue import Catalogue
from services.common.errors import BackendUnavailable
from services.common.ids import is_job_id
from services.common.presence import WORKERS, Presence, read_presences
from services.common.schemas import State, StatusRecord
from services.common.statuses.acceptance import is_accepted

FRESH_SECONDS: Final = 1.0
NEW_JOB_SECONDS: Final = 0.5  # the longest wait for a refresh that may show a job younger than the last one
BRIEF_SECONDS: Final = 0.05  # the longest wait for a refresh while an older answer is there
STALE_SECONDS: Final = 30.0  # an answer may be this old, or twice the pause between refreshes where that is longer
REFRESH_SHARE: Final = 0.1  # of the time may go into refreshing, however long the queues are
PAGE: Final = 200
REPORTED: Final = "told"  # the folder in the cache, which older gateways read too
REPORTED_SECONDS: Final = 3600.0
NOT_REPORTED: Final = sys.maxsize


@dataclass(frozen=True)
class Place:
    """A queued job's position (the number of jobs before it), its ETA, and true if its model is only being loaded."""

    position: int
    eta: Eta | None
    loading: bool


class QueuePositions:
    """Any number of polls share one refresh, so that a poll costs one key of the cache."""

    def __init__(self, backends: Backends, catalogue: Catalogue) -> None:
        self._backends = backends
        self._catalogue = catalogue
        self._refresh_task: asyncio.Task[None] | None = None
        self._queues: dict[str, ModelQueue] = {}
        self._refreshed_at = 0.0  # by the clock of the records, as `created_at` of a job
        self._began_at = -math.inf  # on the event loop's clock, as those below
        self._pause_until = 0.0
        self._good_until = 0.0
        self._present: list[Presence] = []

    async def queues(self, since: float = 0.0) -> dict[str, ModelQueue]:
        """Return the queue of every model by name, read after `since` (by the clock of the records) if possible.

        Reading long queues takes a while: a caller that can be given the previous answer waits only briefly.
        Raises BackendUnavailable.
        """
        clock = asyncio.get_running_loop().time
        old = clock() - FRESH_SECONDS
        if self._began_at >= old and self._refreshed_at >= since:
            return self._queues
        known = self._queues and since <= self._refreshed_at
        with suppress(TimeoutError):
            async with asyncio.timeout(allowed(BRIEF_SECONDS if known else NEW_JOB_SECONDS)):
                while self._began_at < old or self._refreshed_at < since:
                    await asyncio.shield(self._refreshing())
        if clock() > self._good_until:
            raise BackendUnavailable("statuses", "the queues cannot be read in time")
        return self._queues

    async def reported(self, job_id: str) -> int | None:
        """Return the smallest position reported for this job so far, NOT_REPORTED if none was, None without the cache.

        It is kept in the cache because another gateway may have read the queues later than this one. Ask for it
        together with the record: with Redis the two share a round trip.
        """
        if not is_job_id(job_id):
            return None
        try:
            found = await self._backends.cache.get(_reported_key(job_id))
        except BackendUnavailable:
            return None
        return NOT_REPORTED if found is None else int(found)

    async def place(self, job: StatusRecord, reported: int | None) -> Place | None:
        """Return the job's place, never behind the one `reported`; None for a job that is not queued.

        None also where the place is unknown: without the cache, without the queues, or for a job of a model that is
        no longer on offer.
        """
        if job.state is not State.QUEUED or reported is None:
            return None
        try:
            queue = (await self.queues())[job.message.model]
            if job.job_id not in queue:  # younger than the refresh, perhaps; and clocks of gateways differ
                queue = (await self.queues(job.created_at))[job.message.model]
                if self._refreshed_at < job.created_at:
                    return None
            position = queue.position(job.job_id)
            if position < reported:
                await self._backends.cache.put(_reported_key(job.job_id), b"%d" % position, REPORTED_SECONDS)
        except (BackendUnavailable, KeyError):
            return None
        return Place(min(position, reported), queue.eta(job.message), queue.loading)

    async def place_of(self, job: StatusRecord) -> Place | None:
        """Return the place of a job whose record was read before; as `place`."""
        return await self.place(job, await self.reported(job.job_id)) if job.state is State.QUEUED else None

    def _refreshing(self) -> asyncio.Task[None]:
        """Return the refresh under way, or begin one: it goes on when its first caller has stopped waiting."""
        if self._refresh_task is None or self._refresh_task.done():
            self._refresh_task = shared_task(self._refresh())
        return self._refresh_task

    async def _refresh(self) -> None:
        clock = asyncio.get_running_loop().time
        await asyncio.sleep(self._pause_until - clock())
        started_at, begin = self._backends.clock(), clock()
        try:
            jobs, workers = await asyncio.gather(self._live(), self._workers())
        finally:
            pause = (clock() - begin) / REFRESH_SHARE
            self._pause_until = clock() + pause
        self._queues = {
            name: ModelQueue(model, jobs[name], [each for each in workers if each.model == name], self._backends.clock)
            for name, model in self._catalogue.models.items()
        }
        for queue in self._queues.values():
            queue.share_workers(self._queues.values())
        self._refreshed_at, self._began_at = started_at, begin
        self._good_until = clock() + max(STALE_SECONDS, 2 * pause)

    async def _live(self) -> dict[str, list[LiveJob]]:
        by_model: dict[str, list[LiveJob]] = defaultdict(list)
        page = await self._backends.statuses.list("", PAGE)
        while page:
            for record in filter(is_accepted, page):
                by_model[record.message.model].append(LiveJob.of(record))
            more = len(page) == PAGE
            page = await self._backends.statuses.list(page[-1].job_id, PAGE) if more else []
        return by_model

    async def _workers(self) -> list[Presence]:
        """Return the workers in the cache, or those seen last while it does not answer: they still make jobs."""
        with suppress(BackendUnavailable):
            self._present = read_presences((await self._backends.cache.list(WORKERS)).values())
        return self._present


def _reported_key(job_id: str) -> str:
    return f"{REPORTED}/{job_id}/least"  # a folder each, which goes with what is in it
