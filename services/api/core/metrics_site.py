"""The gateway's /metrics, on an address of its own: who may submit a job need not know how busy we are."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.api.core.metrics import Metrics
from services.api.core.queue_positions import QueuePositions
from services.common.backends import Backends
from services.common.background import background_task
from services.common.errors import BackendUnavailable
from services.common.settings import Settings
from services.common.telemetry.admin_site import metrics_page, serve_admin
from services.common.telemetry.loop_lag import watch_loop_lag


@asynccontextmanager
async def serve_metrics(
    settings: Settings, metrics: Metrics, positions: QueuePositions, backends: Backends
) -> AsyncIterator[None]:
    """Serve while the block runs; with port 0 nothing is served, nor looked at. Raises OSError for a port taken."""

    async def look() -> None:
        try:
            metrics.see(await positions.queues(), await backends.broker.dead_letter_count())
        except BackendUnavailable:
            metrics.see_nothing()

    pages = {"/metrics": metrics_page(metrics.registry, look)}
    async with (
        serve_admin(settings.metrics_host, settings.metrics_port, pages),
        background_task(watch_loop_lag(metrics.loop_lag)),
    ):
        yield
