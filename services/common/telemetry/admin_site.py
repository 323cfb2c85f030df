"""A few pages for operators, on an address of their own that clients need not reach."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from services.common.network.listening import listeners

Page = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def serve_admin(host: str, port: int, pages: Mapping[str, Page], prefix: str) -> AsyncIterator[None]:
    """Serve the pages, by their paths, while the block runs; port 0 serves nothing.

    Raises OSError for an address that cannot be listened on; `prefix` is that of the settings with host and port.
    """
    if port == 0:
        yield
        return
    app = web.Application()
    app.add_routes([web.get(path, page) for path, page in pages.items()])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        for listener in await listeners(host, port, prefix):
            await web.SockSite(runner, listener).start()
        yield
    finally:
        await runner.cleanup()


def metrics_page(registry: CollectorRegistry, refresh: Callable[[], Awaitable[None]] | None = None) -> Page:
    """Return the page that Prometheus reads; `refresh` first updates metrics not counted as they happen."""

    async def page(_request: web.Request) -> web.StreamResponse:
        if refresh is not None:
            await refresh()
        body = await asyncio.to_thread(
            generate_latest, registry
        )  # some milliseconds, for which the loop should not wait
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE_LATEST})

    return page
