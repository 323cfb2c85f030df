"""Hypercorn around the application: one worker, HTTP/1.1 and HTTP/2 without TLS, drained before it ends."""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any, Final, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.run import worker_serve
from hypercorn.config import Config, Sockets
from hypercorn.protocol import h2
from hypercorn.utils import LifespanFailureError
from starlette.applications import Starlette

from services.api.auth.exposure import check_exposure
from services.api.stream_buffer import PacedStreamBuffer
from services.common.network.addresses import http_url
from services.common.network.listening import listeners
from services.common.setting_sources import PREFIX
from services.common.settings import Settings

# Longer than the 60 s after which load balancers usually drop an idle connection: they must close first.
KEEP_ALIVE_SECONDS: Final = 75
MAX_HEAD_BYTES: Final = 32 * 1024


async def serve(
    app: Starlette, settings: Settings, shutdown: asyncio.Event, on_ready: Callable[[str], Any] | None = None
) -> None:
    """Serve until `shutdown` is set, then finish the running requests within the graceful timeout.

    `on_ready` is called with the URL once connections are accepted; port 0 picks a free one. Run it on uvloop: on
    plain asyncio Hypercorn ignores the graceful timeout (Python 3.12 and later). Raises OSError when the address is
    taken, ValueError when it may not be served without keys, BackendUnavailable or ValueError when the
    application cannot start.
    """
    h2.StreamBuffer = PacedStreamBuffer  # type: ignore[misc]  # Hypercorn has no other seam for it
    bound = await listeners(settings.host, settings.port, PREFIX, partial(check_exposure, settings))
    url = http_url(*bound[0].getsockname()[:2])

    async def until_shutdown() -> None:
        # Hypercorn asks for this once it listens.
        if on_ready is not None:
            on_ready(url)
        await shutdown.wait()

    # Hypercorn's documented `serve` binds for itself, and does not tell which port a 0 became.
    sockets = Sockets(secure_sockets=[], insecure_sockets=bound, quic_sockets=[])
    try:
        await worker_serve(
            ASGIWrapper(cast("Any", app)), _config(settings), sockets=sockets, shutdown_trigger=until_shutdown
        )
    except LifespanFailureError as exc:
        # Hypercorn knows only its text; Starlette sent that while it handled the original error.
        if isinstance(exc.__context__, Exception):
            raise exc.__context__ from None
        raise
    finally:
        for listener in bound:
            listener.close()


def _config(settings: Settings) -> Config:
    config = Config()
    config.graceful_timeout = settings.graceful_timeout_seconds
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    config.include_server_header = False
    config.accesslog = None  # the RequestId middleware logs each request
    config.errorlog = logging.getLogger("hypercorn.error")
    return config
