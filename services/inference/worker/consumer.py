"""The consumer of one model's queue: over outages of the broker, until the model cannot be served any more."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from typing import Final

import structlog

from services.common.brokers.delivery import Delivery
from services.common.errors import BackendRefused, BackendUnavailable
from services.inference.worker.worker_runtime import WorkerRuntime

log = structlog.get_logger(__name__)

RETRY_SECONDS: Final = 1.0  # after an outage of the broker


class Consumer:
    """Hands deliveries of the model, which is one `among` those of the worker, to `start`."""

    def __init__(
        self, runtime: WorkerRuntime, start: Callable[[Delivery, WorkerRuntime], object], *, among: int
    ) -> None:
        self.runtime = runtime
        self._start = start
        self._consuming = asyncio.Event()
        self._prefetch = prefetch_of(runtime.settings.prefetch, runtime.served.adapter.max_batch, among=among)

    def report(self, waiting: Callable[[], tuple[str, ...]]) -> None:
        """Let readiness, metrics and the announcement say from now on whether jobs can come, and which wait here."""
        runtime, served = self.runtime, self.runtime.served
        runtime.readiness.watch(served, self._consuming.is_set, runtime.backends)
        runtime.metrics.watch(self._consuming.is_set, lambda: served.timings.busy, lambda: served.loaded)
        runtime.announcer.serve(served, self._consuming.is_set, lambda: runtime.batcher.busy, waiting)
        log.info("worker consumes", model=served.name, max_batch=served.adapter.max_batch, prefetch=self._prefetch)

    async def run(self) -> None:
        """Consume until the model has failed. Raise BackendRefused if the broker refuses from the start."""
        failed = asyncio.create_task(self.runtime.served.failed.wait())
        consuming = asyncio.create_task(self._consume())
        try:
            await asyncio.wait([consuming, failed], return_when=asyncio.FIRST_COMPLETED)
        finally:
            failed.cancel()
            consuming.cancel()
            await asyncio.wait([consuming])
        if not consuming.cancelled():
            consuming.result()

    async def _consume(self) -> None:
        while True:
            try:
                broker, model = self.runtime.backends.broker, self.runtime.model.name
                async with aclosing(broker.consume(model, self._prefetch, self._consuming)) as deliveries:
                    async for delivery in deliveries:
                        self._start(delivery, self.runtime)
            except BackendRefused:
                raise
            except BackendUnavailable as exc:
                log.warning("consuming interrupted", reason=str(exc))
            await asyncio.sleep(RETRY_SECONDS)


def prefetch_of(setting: int | None, max_batch: int, *, among: int) -> int:
    """Return the number of deliveries that the consumer of a model holds of each lane.

    All models of a worker share the setting, or without it two batches. So a delivery, which may have to wait for all
    the others, waits no longer than with the one model of the largest batch, and RabbitMQ's timeout need not grow.
    """
    return max(1, (setting or 2 * max_batch) // among)
