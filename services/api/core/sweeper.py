"""The gateway's sweeper completes writes that a crash cut short. Any number of gateways may run one."""

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn
from uuid import uuid4

import structlog

from services.api.core.gateway import Gateway
from services.api.core.metrics import Metrics
from services.api.core.publisher import PUBLISH_SECONDS
from services.common.backends import Backends, ping_all
from services.common.errors import JobNotFound, JobRemoved, RecordUnreadable, StudioError
from services.common.faults.items import FaultyItems
from services.common.manifests import Manifests
from services.common.ports import Lease, Outcome, Verdict
from services.common.schemas import JobError, State, StatusRecord

log = structlog.get_logger(__name__)

UNCONFIRMED_SECONDS = 10.0  # far longer than a gateway takes between the record and the confirmed message
TOMBSTONE_SECONDS = 30 * 86_400.0
TOMBSTONE_SWEEP_SECONDS = 3600.0
PAGE = 200
FAILURES = 2  # in a row: a fault that passes keeps no gateway from its work
REST = 20  # times as long as a sweep took: with long queues it must leave time for submits


@dataclass
class _Live:
    """One model's live jobs in a sweep: the ids of published ones, and True if any is leased."""

    published: list[str] = field(default_factory=list)
    leased: bool = False

    def add(self, record: StatusRecord) -> None:
        self.leased = self.leased or record.leased
        if record.published:
            self.published.append(record.job_id)


class Sweeper:
    """Publishes jobs left behind, expires old ones, republishes lost messages and completes removals.

    A job or a removal that fails is left out and told; the sweep goes on with the others.
    """

    def __init__(
        self, gateway: Gateway, backends: Backends, sweep_seconds: float, metrics: Metrics | None = None
    ) -> None:
        self._gateway = gateway
        self._backends = backends
        self._manifests = Manifests(backends.objects)
        self._sweep_seconds = sweep_seconds
        self._metrics = metrics or Metrics()
        self._suspects: set[str] = set()
        self._tombstones_due = 0.0
        self._jobs = FaultyItems(backends, "the sweep over jobs")
        self._removals = FaultyItems(backends, "the sweep over removals")
        self._failures = 0  # sweeps in a row that failed although the backends answered

    @property
    def failing(self) -> bool:
        """True if the last sweeps failed, and not for a backend that is away: that shows by itself."""
        return self._failures >= FAILURES

    async def run(self) -> NoReturn:
        """Sweep until cancelled. A pass that fails is logged; the next one tries again."""
        while True:
            begin = time.monotonic()
            try:
                outcome = await self._outcome()
            except Exception:
                outcome = "failed"
                log.exception("sweep failed")
                begin = time.monotonic()  # it ended early, and writing its traceback needs no rest
            self._failures = self._failures + 1 if outcome == "failed" else 0
            self._metrics.swept(outcome, len(self._jobs.found | self._removals.found))
            await asyncio.sleep(max(self._sweep_seconds, REST * (time.monotonic() - begin)))

    async def _outcome(self) -> str:
        """Sweep, and return done, failed, or unavailable for a backend that is away."""
        try:
            await self.sweep()
        except (StudioError, TimeoutError) as exc:
            log.warning("sweep failed", reason=str(exc))
            return "unavailable" if any((await ping_all(self._backends)).values()) else "failed"
        return "done"

    async def sweep(self) -> None:
        """Make one pass over the live records and, every TOMBSTONE_SWEEP_SECONDS, over the tombstones.

        Neither keeps the other from its turn. Raise the first fault of a whole pass.
        """
        fault: Exception | None = None
        for step in (self._sweep_jobs, self._sweep_removals):
            try:
                await step()
            except Exception as exc:  # noqa: BLE001 - raised below
                fault = fault or exc
        if fault is not None:
            raise fault

    async def _sweep_jobs(self) -> None:
        self._jobs.begin()
        by_model: dict[str, _Live] = defaultdict(_Live)
        async for record in self._live():
            if record.state is State.QUEUED:
                async with self._jobs.apart(record.job_id):
                    await self._mend(record)
            by_model[record.message.model].add(record)
        await self._republish_lost(by_model)

    async def _sweep_removals(self) -> None:
        if time.monotonic() < self._tombstones_due:
            return
        self._removals.begin()
        for job_id in await self._manifests.buried():
            async with self._removals.apart(job_id):
                await self._complete_removal(job_id)
        self._tombstones_due = time.monotonic() + TOMBSTONE_SWEEP_SECONDS

    async def _live(self) -> AsyncIterator[StatusRecord]:
        """Yield the live records a page at a time: there may be too many for memory."""
        last = ""
        while page := await self._backends.statuses.list(last, PAGE):
            for record in page:
                yield record
            last = page[-1].job_id

    async def _mend(self, record: StatusRecord) -> None:
        now = self._backends.clock()
        if record.attempt == 0 and now > record.message.expires_at:
            await self._expire(record)
        elif not record.published and abs(now - record.created_at) > UNCONFIRMED_SECONDS:
            await self._publish_left_behind(record.job_id)

    async def _publish_left_behind(self, job_id: str) -> None:
        with suppress(JobNotFound):  # removed since it was listed: publishing it would bring it back
            record = await self._backends.statuses.get(job_id)
            if record.state is State.QUEUED and not record.published:
                log.info("publishing a job left behind", job_id=job_id)
                await self._gateway.publish(record)

    async def _expire(self, record: StatusRecord) -> None:
        allowed = record.message.expires_at - record.message.created_at
        waited = f"no worker began the job in the {allowed:g} s that it may wait"
        error = JobError(code="expired", message=f"{waited}: submit it again later", retryable=True)
        outcome = Outcome(State.EXPIRED, error=error)
        if await self._backends.statuses.finish(Lease.of_gateway(record.job_id), outcome) is Verdict.HELD:
            self._metrics.expired.labels(record.message.model).inc()
        finished = await self._backends.statuses.get(record.job_id)
        if finished.state is State.EXPIRED:
            await self._manifests.write(finished)

    async def _republish_lost(self, by_model: Mapping[str, _Live]) -> None:
        """Publish again the messages that the queue has lost.

        An idle worker begins a delivery at once. So a model with an empty queue and no leased job has no unacked
        message either: a published job that stays in this state for two sweeps has lost its message. An error costs
        a duplicate, which `begin` recognises by its own message id.
        """
        suspects: set[str] = set()
        for model, live in by_model.items():
            if live.leased:
                continue
            async with self._jobs.apart(model):
                if not await self._backends.broker.depth(model):
                    suspects |= await self._republish_of_old(live.published)
        self._suspects = suspects

    async def _republish_of_old(self, published: Sequence[str]) -> set[str]:
        """Republish those that were suspects in the last sweep; return those that are new."""
        for job_id in filter(self._suspects.__contains__, published):
            async with self._jobs.apart(job_id):
                with suppress(JobNotFound):  # removed a moment ago
                    record = await self._backends.statuses.get(job_id)
                    if not record.state.terminal:
                        await self._republish(record)
        return set(published) - self._suspects

    async def _complete_removal(self, job_id: str) -> None:
        try:
            removed_at = await self._manifests.removed_at(job_id)
        except RecordUnreadable:
            removed_at = time.time()  # the key alone says so, as it does to a reader
        if removed_at is None:  # another gateway's sweeper was faster
            return
        await self._backends.statuses.remove(job_id)
        await self._manifests.clear(job_id)
        if time.time() - removed_at > TOMBSTONE_SECONDS:
            await self._manifests.forget(job_id)

    async def _republish(self, record: StatusRecord) -> None:
        try:
            finished = await self._manifests.read(record.job_id)
        except JobRemoved:
            await self._backends.statuses.remove(record.job_id)
            return
        if finished is not None:
            outcome = Outcome(finished.state, finished.artifacts, finished.error, finished.warnings)
            await self._backends.statuses.finish(Lease.of_gateway(record.job_id), outcome)
            return
        log.warning("job without a message, publishing it again", job_id=record.job_id)
        async with asyncio.timeout(PUBLISH_SECONDS):
            again = record.message.model_copy(update={"message_id": uuid4().hex})
            await self._backends.broker.publish(again, bulk=record.bulk)
