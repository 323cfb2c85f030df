"""Hypercorn around the application: one worker, HTTP/1.1 and HTTP/2 without TLS, drained before it ends."""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any, Final, cast

from hypercorn.app_wrappers import ASGIWrapper
from hypercorn.asyncio.run import worker_serve
from hypercorn.config import Config, Sockets
from hypercorn.utils import LifespanFailureError
from starlette.applications import Starlette

from services.api.auth.exposure import check_exposure
from services.common.addresses import cannot_listen, http_url
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
    listener = await _bind(settings)
    url = http_url(*listener.getsockname()[:2])

    async def until_shutdown() -> None:
        # Hypercorn asks for this once it listens.
        if on_ready is not None:
            on_ready(url)
        await shutdown.wait()

    # Hypercorn's documented `serve` binds for itself, and does not tell which port a 0 became.
    sockets = Sockets(secure_sockets=[], insecure_sockets=[listener], quic_sockets=[])
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
        listener.close()


async def _bind(settings: Settings) -> socket.socket:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
    except OSError as exc:
        raise cannot_listen(exc, settings.host, settings.port, PREFIX) from exc
    family, kind, protocol, _, address = found[0]
    check_exposure(settings, str(address[0]))
    try:
        return _listener(socket.socket(family, kind, protocol), address)
    except OSError as exc:
        raise cannot_listen(exc, settings.host, settings.port, PREFIX) from exc


def _listener(listener: socket.socket, address: Any) -> socket.socket:
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.settimeout(0)
    except OSError:
        listener.close()
        raise
    return listener


def _config(settings: Settings) -> Config:
    config = Config()
    config.graceful_timeout = settings.graceful_timeout_seconds
    config.keep_alive_timeout = KEEP_ALIVE_SECONDS
    config.h11_max_incomplete_size = MAX_HEAD_BYTES
    config.include_server_header = False
    config.accesslog = None  # the RequestId middleware logs each request
    config.errorlog = logging.getLogger("hypercorn.error")
    return config
