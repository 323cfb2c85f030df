"""Refuses a request body that is larger than allowed, by its declared or its counted length.

Hypercorn has no such limit.
"""

from collections.abc import Mapping

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.auth.refusal import RequestRefused
from services.api.http.problems import on_error
from services.api.middleware.body import MANY_PIECES, SMALL_BYTES, Pieces, may_have_body


class BodyLimit:
    """A handler's first read raises RequestRefused when the declared length is too large, a later one when the
    bytes counted are, or when they come in thousands of small pieces. Once an answer has begun, these end the request
    instead.

    A request that gives its length in two ways is always refused. The body of a GET passes: no handler reads it, and
    the task that waits for the client to leave while a file is sent must not raise.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int, of_paths: Mapping[str, int] | None = None) -> None:
        """`of_paths` has the limits of the paths that take files."""
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._of_paths = of_paths or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not may_have_body(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            # A proxy in front may go by the other header: request smuggling (RFC 9112, section 6.1).
            detail = "the request has both Content-Length and Transfer-Encoding: send only one of them"
            refusal = await on_error(Request(scope), RequestRefused("bad-request", detail, {"Connection": "close"}))
            await refusal(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        pieces, most = Pieces(), self._of_paths.get(scope["path"], self._max_body_bytes)
        answering = False

        async def limited_receive() -> Message:
            if not answering:
                _check_declared(headers, most)
            message = await receive()
            pieces.add(message)
            if pieces.bytes <= most and not pieces.crumbs:
                return message
            if answering:
                return {"type": "http.disconnect"}
            raise _too_large(most) if pieces.bytes > most else _crumbs()

        async def noting_send(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        await self._app(scope, limited_receive, noting_send)


def _check_declared(headers: Headers, most: int) -> None:
    declared = headers.get("content-length")
    if declared is None:
        return
    if not (declared.isascii() and declared.isdigit()):
        detail = "Content-Length is not a number: give the body's length in bytes, in digits"
        raise RequestRefused("bad-request", detail, {"Connection": "close"})
    if len(declared) > 18 or int(declared) > most:
        raise _too_large(most)


def _too_large(most: int) -> RequestRefused:
    detail = f"the body is larger than {most} bytes, the most allowed here: send a smaller one"
    return RequestRefused("body-too-large", detail)


def _crumbs() -> RequestRefused:
    pieces = f"more than {MANY_PIECES} pieces of less than {SMALL_BYTES} bytes on average"
    return RequestRefused("bad-request", f"the body comes in {pieces}: send it in larger ones")
