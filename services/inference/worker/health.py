"""The worker's own /livez, /readyz and /metrics, for its supervisor and for monitoring."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from services.common.backends import Backends, ping_all
from services.common.background import background_task
from services.common.network.addresses import WORKER
from services.common.telemetry.admin_site import metrics_page, serve_admin
from services.common.telemetry.loop_lag import watch_loop_lag
from services.inference.batching.served_model import ServedModel
from services.inference.job.metrics import Metrics

UNAVAILABLE: Final = "unavailable"


class Readiness:
    """`phase` is starting, loading or serving; `states` says more of each model.

    Ready means serving, consuming the queue of each model that is not unavailable, and every backend answers. A worker
    without a model that can be served is not ready.
    """

    def __init__(self) -> None:
        self.phase = "starting"
        self._unavailable: dict[str, str] = {}
        self._served: dict[str, tuple[ServedModel, Callable[[], bool]]] = {}
        self._backends: Backends | None = None

    def watch(self, served: ServedModel, consuming: Callable[[], bool], backends: Backends) -> None:
        """Jobs of this model are made; `consuming` says whether they can come."""
        self.phase, self._backends = "serving", backends
        self._served[served.name] = served, consuming

    def fail(self, model: str) -> None:
        """This model cannot be served."""
        self._unavailable[model] = UNAVAILABLE

    def states(self) -> dict[str, str]:
        """Return for each model whether it is loaded, loading, unloaded (until its next job) or unavailable."""
        return self._unavailable | {name: _state(served) for name, (served, _) in self._served.items()}

    async def missing(self) -> list[str]:
        """Return the names of what keeps the worker from being ready."""
        serving = {name: each for name, each in self._served.items() if not each[0].failed.is_set()}
        if not serving or self._backends is None:
            return ["model"]
        unready = [name for name, fault in (await ping_all(self._backends)).items() if fault is not None]
        return unready if all(consuming() for _, consuming in serving.values()) else ["consumer", *unready]


@asynccontextmanager
async def serve_health(host: str, port: int, readiness: Readiness, metrics: Metrics) -> AsyncIterator[None]:
    """Serve while the block runs; port 0 serves nothing."""

    async def livez(_request: web.Request) -> web.StreamResponse:
        return web.json_response({"service": WORKER, "live": True})

    async def readyz(_request: web.Request) -> web.StreamResponse:
        missing = await readiness.missing()
        body = {
            "service": WORKER,
            "ready": not missing,
            "phase": readiness.phase,
            "not_ready": missing,
            "models": readiness.states(),
        }
        return web.json_response(body, status=503 if missing else 200)

    pages = {"/livez": livez, "/readyz": readyz, "/metrics": metrics_page(metrics.registry)}
    async with serve_admin(host, port, pages, "STUDIO_WORKER_"), background_task(watch_loop_lag(metrics.loop_lag)):
        yield


def _state(served: ServedModel) -> str:
    if served.failed.is_set():
        return UNAVAILABLE
    if served.loading:
        return "loading"
    return "loaded" if served.loaded else "unloaded"
