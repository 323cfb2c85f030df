"""Turns an unexpected exception into a 500 that tells nothing of it, and into one log record with its traceback.

Starlette's own handler for these sits outside every middleware: its answer would lack the request id, and it raises
the exception again, so that Hypercorn logs the traceback a second time.
"""

import structlog
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.http.problems import unexpected

log = structlog.get_logger(__name__)


class UnexpectedErrors:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        answering = False

        async def noting_send(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        try:
            await self._app(scope, receive, noting_send)
        except ClientDisconnect:
            log.info("client left before it was answered")  # no client is left to answer
        except Exception:
            log.exception("unexpected error")
            # The client notices an answer that is cut short: the server closes the connection before its end.
            if not answering:
                response = unexpected(Request(scope))
                await response(scope, receive, send)
