"""The worker's own /livez and /readyz, for whoever starts and supervises it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from services.common.backends import Backends
from services.common.errors import BackendUnavailable
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
async def serve_health(host: str, port: int, readiness: Readiness) -> AsyncIterator[None]:
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

    app = web.Application()
    app.add_routes([web.get("/livez", livez), web.get("/readyz", readyz)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        yield
    finally:
        await runner.cleanup()
