"""Gives every request an id, which its response, its problems and all its log lines carry."""

import re
import time
from typing import Final
from urllib.parse import quote
from uuid import uuid4

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

HEADER: Final = "X-Request-Id"
_NAME: Final = HEADER.lower().encode()
_SANE = re.compile(r"[A-Za-z0-9._-]{1,64}")
_PROBES: Final = ("/livez", "/readyz")


class RequestId:
    """Keeps a well-formed id of the client's (or of a proxy's), and replaces any other. Logs one line a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(HEADER, "")
        request_id = given if _SANE.fullmatch(given) else uuid4().hex
        status: int | None = None
        started = time.perf_counter()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message = {**message, "headers": [*message["headers"], (_NAME, request_id.encode())]}
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            finally:
                _log_finished(scope, status, time.perf_counter() - started)


def _log_finished(scope: Scope, status: int | None, seconds: float) -> None:
    route = scope.get("route")
    # The route's template where there is one; else the path, quoted so that it cannot break the line.
    path = getattr(route, "path", None) or quote(scope["path"])[:200]
    write = log.debug if path in _PROBES else log.info
    write("request finished", method=scope["method"][:40], path=path, status=status, seconds=round(seconds, 4))
