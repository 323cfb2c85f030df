"""The gateway's /metrics, on an address of its own: clients that may submit jobs need not read the load."""

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
    """Serve while the block runs; port 0 serves and reads nothing. Raises OSError for a port that is taken."""

    async def look() -> None:
        try:
            metrics.see(await positions.queues(), await backends.broker.dead_letter_count())
        except BackendUnavailable:
            metrics.see_nothing()

    pages = {"/metrics": metrics_page(metrics.registry, look)}
    async with (
        serve_admin(settings.metrics_host, settings.metrics_port, pages, "STUDIO_METRICS_"),
        background_task(watch_loop_lag(metrics.loop_lag)),
    ):
        yield
