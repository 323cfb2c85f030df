"""The server around the application: HTTP/1.1 and HTTP/2 without TLS, drained before it ends."""

import asyncio
import logging
import resource
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.worker_context import WorkerContext
from hypercorn.config import Config
from starlette.applications import Starlette

from services.api.auth.exposure import check_exposure
from services.api.connections.connection import Application
from services.api.connections.lifespan import lifespan_of
from services.api.connections.listeners import Listeners
from services.api.connections.open_connections import OpenConnections
from services.api.connections.serving import Serving
from services.api.core.metrics import Metrics
from services.common.network.addresses import http_url
from services.common.network.listening import listeners
from services.common.setting_sources import PREFIX
from services.common.settings import Settings

MAX_HEAD_BYTES: Final = 32 * 1024
_MOST_CONNECTIONS: Final = 32_768


async def serve(
    app: Starlette,
    settings: Settings,
    shutdown: asyncio.Event,
    on_ready: Callable[[str], Any] | None = None,
    metrics: Metrics | None = None,
) -> None:
    """Serve until `shutdown` is set, then finish the open requests within the graceful timeout.

    `on_ready` is called with the URL once connections are accepted; port 0 picks a free one. `metrics` count the
    connections. Raises OSError when the address is taken, ValueError when it may not be served without keys,
    BackendUnavailable or ValueError when the application cannot start.
    """
    bound = await listeners(settings.host, settings.port, PREFIX, partial(check_exposure, settings))
    wrapped, config = ASGIWrapper(cast("Any", app)), _config()
    connections = OpenConnections(_most_connections(), metrics or Metrics())
    try:
        async with lifespan_of(wrapped, config) as state:
            serving = Serving(Application(wrapped, config, WorkerContext(None), state), connections)
            listening = Listeners(bound, connections, serving.take)
            try:
                listening.open()
                if on_ready is not None:
                    on_ready(http_url(*bound[0].getsockname()[:2]))
                await shutdown.wait()
            finally:
                listening.close()
                await serving.drain(settings.graceful_timeout_seconds)
    finally:
        for listener in bound:
            listener.close()


def _most_connections() -> int:
    """Half of the files that this process may open: a request may need one besides that of its connection."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_CONNECTIONS if files == resource.RLIM_INFINITY else min(files // 2, _MOST_CONNECTIONS)


def _config() -> Config:
    config = Config()
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    config.h2_max_header_list_size = MAX_HEAD_BYTES
    config.include_server_header = False
    config.accesslog = None  # the RequestId middleware logs each request
    config.errorlog = logging.getLogger("hypercorn.error")
    return config
