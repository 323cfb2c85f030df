"""Finds the live jobs that no worker will come to by itself, and sees to them, lane by lane.

A job needs its message on the queue, and AMQP does not tell which messages are there. But a lane is served in order.
So a published job without a fresh lease has probably lost its message when a job that was published later was begun
already, or when the queue is empty. It may also be in the hands of a worker that is busy with a call. Therefore it is
published again only when the next sweep finds the same, and all jobs that were leased at the first one have ended.
Where this is wrong, it costs a second message, never a second result: `begin` acks a duplicate while the first is
leased, and finds a terminal record afterwards. A worker of several models may be busy with another one for long: it
announces the jobs that it holds, and these are left alone.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from typing import Final
from uuid import uuid4

import structlog

from services.api.core.gateway import Gateway
from services.api.core.metrics import Metrics
from services.api.core.publisher import PUBLISH_SECONDS
from services.common.backends import Backends
from services.common.errors import BackendUnavailable, JobNotFound, JobRemoved
from services.common.faults.items import FaultyItems
from services.common.manifests import Manifests
from services.common.ports import Lease, Outcome, Renewal, Verdict
from services.common.presence import WORKERS, read_presences
from services.common.schemas import JobError, State, StatusRecord
from services.common.statuses.lane import Lane

log = structlog.get_logger(__name__)

UNCONFIRMED_SECONDS: Final = 10.0  # far longer than a gateway takes between the record and the confirmed message
MOST_OF_A_LANE: Final = 500  # records that a sweep reads of it, however many jobs wait; parsing them takes 30 ms


class LaneSweep:
    """Publishes jobs left behind and lost messages, and expires jobs. A job that fails is left out and told."""

    def __init__(self, gateway: Gateway, backends: Backends, metrics: Metrics) -> None:
        self._gateway = gateway
        self._backends = backends
        self._manifests = Manifests(backends.objects)
        self._metrics = metrics
        self._suspects: dict[str, frozenset[str]] = {}  # by job id, those that were leased when it was suspected
        self._held: frozenset[str] = frozenset()  # by workers that announce them
        self.faulty = FaultyItems(backends, "the sweep over jobs")

    async def sweep(self) -> None:
        """Look once at each lane."""
        self.faulty.begin()
        by_model: dict[str, list[Lane]] = defaultdict(list)
        for lane in await self._backends.statuses.lanes(MOST_OF_A_LANE):
            by_model[lane.model].append(lane)
        suspects, self._suspects, self._held = self._suspects, {}, await self._announced()
        for model, lanes in by_model.items():
            async with self.faulty.apart(model):
                leased = frozenset[str]().union(*(lane.leased for lane in lanes))
                for lane in lanes:
                    await self._sweep_lane(lane, leased, suspects)

    async def _sweep_lane(self, lane: Lane, leased: frozenset[str], suspects: Mapping[str, frozenset[str]]) -> None:
        """Look at the jobs of a lane; `leased` are those of the model, whose workers take from both lanes."""
        empty = bool(lane.jobs) and not await self._backends.broker.depth(lane.model, bulk=lane.bulk)
        for job in lane.jobs:
            async with self.faulty.apart(job.job_id):
                lost = (empty or job.job_id in lane.passed) and job.job_id not in self._held
                if await self._mended(job) or not lost:
                    continue
                busy = suspects.get(job.job_id, leased) & leased
                if job.job_id in suspects and not busy:
                    await self._republish(job.job_id)
                else:
                    self._suspects[job.job_id] = busy

    async def _announced(self) -> frozenset[str]:
        """Return the jobs that workers say they hold; none while the cache does not answer."""
        try:
            found = await self._backends.cache.list(WORKERS)
        except BackendUnavailable:
            return frozenset()
        return frozenset(job_id for worker in read_presences(found.values()) for job_id in worker.waiting)

    async def _mended(self, record: StatusRecord) -> bool:
        """Return True for a job whose message need not be looked for: it waited too long, or never had one."""
        now = self._backends.clock()
        if record.state is State.QUEUED and record.attempt == 0 and now > record.message.expires_at:
            await self._expire(record)
            return True
        if not record.published and abs(now - record.created_at) > UNCONFIRMED_SECONDS:
            await self._publish_left_behind(record.job_id)
        return not record.published

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

    async def _end(self, record: StatusRecord, finished: StatusRecord) -> None:
        """End a job as its manifest says, whose end the store has lost."""
        lease = Lease.of_gateway(record.job_id)
        if record.state is State.RUNNING:
            lease = Lease(record.job_id, record.message.message_id, silent=Renewal.of(record))
            await self._backends.statuses.begin(record.message, lease)
        outcome = Outcome(finished.state, finished.artifacts, finished.error, finished.warnings)
        await self._backends.statuses.finish(lease, outcome)

    async def _republish(self, job_id: str) -> None:
        try:
            record = await self._backends.statuses.get(job_id)
            finished = await self._manifests.read(job_id)
        except JobRemoved:
            await self._backends.statuses.remove(job_id)
            return
        except JobNotFound:  # removed a moment ago
            return
        if record.state.terminal or record.is_leased(self._backends.clock()):
            return
        if finished is not None:
            await self._end(record, finished)
            return
        log.warning("job without a message, publishing it again", job_id=job_id)
        async with asyncio.timeout(PUBLISH_SECONDS):
            again = record.message.model_copy(update={"message_id": uuid4().hex})
            await self._backends.broker.publish(again, bulk=record.bulk)
        await self._backends.statuses.create(record)  # confirmed: its message is the last one of its lane now
