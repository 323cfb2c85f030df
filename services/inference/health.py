"""The worker's own /livez, /readyz and /metrics, for whoever starts and watches it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from services.common.backends import Backends
from services.common.errors import BackendUnavailable
from services.inference.metrics import Metrics
from services.inference.worker import Worker


class Readiness:
    """`phase` is starting, loading or serving; ready means serving, consuming, and every backend answers."""

    def __init__(self) -> None:
        self.phase = "starting"
        self._worker: Worker | None = None
        self._backends: Backends | None = None

    def watch(self, worker: Worker, backends: Backends) -> None:
        self.phase, self._worker, self._backends = "serving", worker, backends

    async def missing(self) -> list[str]:
        """What keeps the worker from being ready, by name."""
        if self._worker is None or self._backends is None:
            return ["model"]
        pings = {
            "broker": self._backends.broker.ping(),
            "statuses": self._backends.statuses.list(limit=1),
            "objects": self._backends.objects.ping(),
        }
        results = await asyncio.gather(*pings.values(), return_exceptions=True)
        missing = [] if self._worker.consuming else ["consumer"]
        for name, result in zip(pings, results, strict=True):
            if isinstance(result, BackendUnavailable):
                missing.append(name)
            elif isinstance(result, BaseException):
                raise result
        return missing


@asynccontextmanager
async def serve_health(host: str, port: int, readiness: Readiness, metrics: Metrics) -> AsyncIterator[None]:
    """Serve while the block runs; port 0 serves nothing."""
    if port == 0:
        yield
        return

    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"live": True})

    async def readyz(_request: web.Request) -> web.Response:
        missing = await readiness.missing()
        body = {"ready": not missing, "phase": readiness.phase, "not_ready": missing}
        return web.json_response(body, status=503 if missing else 200)

    async def scrape(_request: web.Request) -> web.Response:
        body = generate_latest(metrics.registry)
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz), web.get("/metrics", scrape)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
