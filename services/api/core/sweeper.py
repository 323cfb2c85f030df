"""The gateway's sweeper completes writes that a crash cut short. Any number of gateways may run one."""

import asyncio
import time
from typing import NoReturn

import structlog

from services.api.core.gateway import Gateway
from services.api.core.inputs.sweep import InputSweep
from services.api.core.lane_sweep import LaneSweep
from services.api.core.metrics import Metrics
from services.common.backends import Backends, ping_all
from services.common.errors import RecordUnreadable, StudioError
from services.common.faults.items import FaultyItems
from services.common.manifests import Manifests

log = structlog.get_logger(__name__)

TOMBSTONE_SECONDS = 30 * 86_400.0
TOMBSTONE_SWEEP_SECONDS = 3600.0
FAILURES = 2  # in a row: a fault that passes keeps no gateway from its work
REST = 20  # times as long as a sweep took: with many lost messages it must leave time for submits


class Sweeper:
    """Publishes jobs left behind, expires old ones, republishes lost messages, completes removals, ends inputs.

    A job, a removal or an input that fails is left out and told; the sweep goes on with the others.
    """

    def __init__(
        self, gateway: Gateway, backends: Backends, sweep_seconds: float, metrics: Metrics | None = None
    ) -> None:
        self._backends = backends
        self._manifests = Manifests(backends.objects)
        self._sweep_seconds = sweep_seconds
        self._metrics = metrics or Metrics()
        self._lanes = LaneSweep(gateway, backends, self._metrics)
        self._tombstones_due = 0.0
        self._removals = FaultyItems(backends, "the sweep over removals")
        self._inputs = InputSweep(gateway.inputs.store, backends, gateway.read)
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
            self._metrics.swept(outcome, len(self._faulty))
            await asyncio.sleep(max(self._sweep_seconds, REST * (time.monotonic() - begin)))

    @property
    def _faulty(self) -> set[str]:
        return self._lanes.faulty.found | self._removals.found | self._inputs.faulty.found

    async def _outcome(self) -> str:
        """Sweep, and return done, failed, or unavailable for a backend that is away."""
        try:
            await self.sweep()
        except (StudioError, TimeoutError) as exc:
            log.warning("sweep failed", reason=str(exc))
            return "unavailable" if any((await ping_all(self._backends)).values()) else "failed"
        return "done"

    async def sweep(self) -> None:
        """Make one pass over the lanes of live jobs and, every hour, over the tombstones and the inputs.

        Neither keeps the other from its turn. Raise the first fault of a whole pass.
        """
        fault: Exception | None = None
        for step in (self._lanes.sweep, self._sweep_removals):
            try:
                await step()
            except Exception as exc:  # noqa: BLE001 - raised below
                fault = fault or exc
        if fault is not None:
            raise fault

    async def _sweep_removals(self) -> None:
        if time.monotonic() < self._tombstones_due:
            return
        self._removals.begin()
        removed = await self._manifests.buried()
        for job_id in removed:
            async with self._removals.apart(job_id):
                await self._complete_removal(job_id)
        await self._inputs.sweep(set(removed))
        self._tombstones_due = time.monotonic() + TOMBSTONE_SWEEP_SECONDS

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
