"""The worker's own /livez, /readyz and /metrics, for its supervisor and for monitoring."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiohttp import web

from services.common.backends import Backends, ping_all
from services.common.background import background_task
from services.common.network.addresses import WORKER
from services.common.telemetry.admin_site import metrics_page, serve_admin
from services.common.telemetry.loop_lag import watch_loop_lag
from services.inference.job.metrics import Metrics


class Readiness:
    """`phase` is starting, loading or serving; ready means serving, consuming, and every backend answers."""

    def __init__(self) -> None:
        self.phase = "starting"
        self._consuming: Callable[[], bool] | None = None
        self._backends: Backends | None = None

    def watch(self, consuming: Callable[[], bool], backends: Backends) -> None:
        """The model is loaded; `consuming` says whether jobs can come."""
        self.phase, self._consuming, self._backends = "serving", consuming, backends

    async def missing(self) -> list[str]:
        """Return the names of what keeps the worker from being ready."""
        if self._consuming is None or self._backends is None:
            return ["model"]
        unready = [name for name, fault in (await ping_all(self._backends)).items() if fault is not None]
        return unready if self._consuming() else ["consumer", *unready]


@asynccontextmanager
async def serve_health(host: str, port: int, readiness: Readiness, metrics: Metrics) -> AsyncIterator[None]:
    """Serve while the block runs; port 0 serves nothing."""

    async def livez(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"service": WORKER, "live": True})

    async def readyz(_request: web.Request) -> web.StreamResponse:
        missing = await readiness.missing()
        body = {"service": WORKER, "ready": not missing, "phase": readiness.phase, "not_ready": missing}
        return web.json_response(body, status=503 if missing else 200)

    pages = {"/livez": livez, "/readyz": readyz, "/metrics": metrics_page(metrics.registry)}
    async with serve_admin(host, port, pages, "STUDIO_WORKER_"), background_task(watch_loop_lag(metrics.loop_lag)):
        yield
