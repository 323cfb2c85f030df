"""The gateway's sweeper: finishes, a little later, what a crash cut short. Any number of gateways may run one."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Iterable
from uuid import uuid4

import structlog

from services.api.gateway import PUBLISH_SECONDS, Gateway
from services.common.backends import Backends
from services.common.errors import JobRemoved, StudioError
from services.common.manifests import Manifests
from services.common.ports import Lease, Outcome
from services.common.schemas import JobError, State, StatusRecord

log = structlog.get_logger(__name__)

UNCONFIRMED_SECONDS = 10.0  # far longer than a gateway takes between the record and the confirmed message
TOMBSTONE_SECONDS = 30 * 86_400.0
TOMBSTONE_SWEEP_SECONDS = 3600.0
PAGE = 200


class Sweeper:
    def __init__(self, gateway: Gateway, backends: Backends, sweep_seconds: float) -> None:
        self._gateway = gateway
        self._backends = backends
        self._manifests = Manifests(backends.objects)
        self._sweep_seconds = sweep_seconds
        self._suspects: set[str] = set()
        self._tombstones_due = 0.0

    async def run(self) -> None:
        """Sweep until cancelled. A pass that fails is logged; the next one tries again."""
        while True:
            try:
                await self.sweep()
            except (StudioError, TimeoutError) as exc:
                log.warning("sweep failed", reason=str(exc))
            await asyncio.sleep(self._sweep_seconds)

    async def sweep(self) -> None:
        """One pass over the live records, and now and then over the tombstones."""
        live = await self._live()
        for record in live:
            if record.state is State.QUEUED:
                await self._mend(record)
        await self._republish_lost(live)
        if time.monotonic() >= self._tombstones_due:
            await self._complete_removals()
            self._tombstones_due = time.monotonic() + TOMBSTONE_SWEEP_SECONDS

    async def _live(self) -> list[StatusRecord]:
        live: list[StatusRecord] = []
        while page := await self._backends.statuses.list(live[-1].job_id if live else "", PAGE):
            live += page
        return live

    async def _mend(self, record: StatusRecord) -> None:
        now = time.time()
        try:
            if record.attempt == 0 and now > record.message.expires_at:
                await self._expire(record)
            elif not record.published and now - record.created_at > UNCONFIRMED_SECONDS:
                log.info("publishing a job left behind", job_id=record.job_id)
                await self._gateway.publish(record)
        except StudioError as exc:
            log.warning("job not mended", job_id=record.job_id, reason=str(exc))

    async def _expire(self, record: StatusRecord) -> None:
        error = JobError(code="expired", message="the job waited longer than it may", retryable=True)
        await self._backends.statuses.finish(Lease.nobody(record.job_id), Outcome(State.EXPIRED, error=error))
        finished = await self._backends.statuses.get(record.job_id)
        if finished.state is State.EXPIRED:
            await self._manifests.write(finished)

    async def _republish_lost(self, live: Iterable[StatusRecord]) -> None:
        """Publish again what the queue has lost.

        A worker with nothing in hand begins a delivery at once. So a model whose queue is empty and of whose jobs
        none is leased has nothing unacked either: a published job of it that stays so for two sweeps has no
        message any more. Being wrong costs a duplicate, which its own message id lets `begin` recognise.
        """
        by_model: dict[str, list[StatusRecord]] = defaultdict(list)
        for record in live:
            by_model[record.message.model].append(record)
        suspects: set[str] = set()
        for model, records in by_model.items():
            if any(record.leased for record in records) or await self._backends.broker.depth(model):
                continue
            for record in records:
                if record.job_id in self._suspects:
                    await self._republish(record)
                elif record.published:
                    suspects.add(record.job_id)
        self._suspects = suspects

    async def _complete_removals(self) -> None:
        for tombstone in await self._manifests.buried():
            await self._backends.statuses.remove(tombstone.job_id)
            await self._manifests.clear(tombstone.job_id)
            if time.time() - tombstone.removed_at > TOMBSTONE_SECONDS:
                await self._manifests.forget(tombstone.job_id)

    async def _republish(self, record: StatusRecord) -> None:
        try:
            finished = await self._manifests.read(record.job_id)
        except JobRemoved:
            await self._backends.statuses.remove(record.job_id)
            return
        if finished is not None:
            outcome = Outcome(finished.state, finished.artifacts, finished.error)
            await self._backends.statuses.finish(Lease.nobody(record.job_id), outcome)
            return
        log.warning("job without a message, publishing it again", job_id=record.job_id)
        async with asyncio.timeout(PUBLISH_SECONDS):
            await self._backends.broker.publish(record.message.model_copy(update={"message_id": uuid4().hex}))
