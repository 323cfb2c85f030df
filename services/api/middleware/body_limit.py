"""Refuses a request body that is, or turns out to be, larger than allowed. Hypercorn has no such limit."""

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.auth.refusal import RequestRefused
from services.api.http.problems import on_error
from services.api.middleware.body import may_have_body


class BodyLimit:
    """A handler's first read raises RequestRefused when the declared length is too large, a later one when the
    bytes counted are. Once an answer has begun, too many bytes end the request instead.

    What says its length in two ways is refused whoever reads it. A GET's body is let through: no handler wants it, and
    what listens for the client to leave while a file is sent must not raise.
    """

    def __init__(self, app: ASGIApp, max_body_bytes: int) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not may_have_body(scope):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if "content-length" in headers and "transfer-encoding" in headers:
            # A proxy in front may believe the other one: request smuggling (RFC 9112, section 6.1).
            detail = "Content-Length and Transfer-Encoding exclude each other"
            refusal = await on_error(Request(scope), RequestRefused("bad-request", detail, {"Connection": "close"}))
            await refusal(scope, receive, send)
            return
        if scope["method"] in ("GET", "HEAD"):
            await self._app(scope, receive, send)
            return
        counted = 0
        answering = False

        async def limited_receive() -> Message:
            nonlocal counted
            if not answering:
                self._check_declared(headers)
            message = await receive()
            counted += len(message.get("body", b""))
            if counted <= self._max_body_bytes:
                return message
            if answering:
                return {"type": "http.disconnect"}
            raise self._too_large()

        async def noting_send(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        await self._app(scope, limited_receive, noting_send)

    def _check_declared(self, headers: Headers) -> None:
        declared = headers.get("content-length")
        if declared is None:
            return
        if not (declared.isascii() and declared.isdigit()):
            raise RequestRefused("bad-request", "Content-Length is not a number", {"Connection": "close"})
        if len(declared) > 18 or int(declared) > self._max_body_bytes:
            raise self._too_large()

    def _too_large(self) -> RequestRefused:
        return RequestRefused("body-too-large", f"a body may have at most {self._max_body_bytes} bytes")
