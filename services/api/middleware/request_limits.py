"""Refuses a request with more headers, or more parameters in its query, than any client of ours sends.

Each costs time on the event loop, in every part of the gateway that looks for one.
"""

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from services.api.auth.refusal import RequestRefused
from services.api.http.headers import MOST_HEADERS
from services.api.http.problems import on_error
from services.api.http.requests.query import MOST_PARAMETERS


class RequestLimits:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = _refusal(scope) if scope["type"] == "http" else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        response = await on_error(Request(scope), refusal)
        await response(scope, receive, send)


def _refusal(scope: Scope) -> RequestRefused | None:
    headers = scope["headers"]
    # Without cookies: HTTP/2 may have a header for each of them (RFC 9113, section 8.2.3).
    if len(headers) > MOST_HEADERS and (count := sum(name != b"cookie" for name, _ in headers)) > MOST_HEADERS:
        return RequestRefused("too-many-headers", f"the request has {count} headers: send {MOST_HEADERS} at most")
    if (count := scope["query_string"].count(b"&") + 1) > MOST_PARAMETERS:
        detail = f"the query has {count} parameters: send {MOST_PARAMETERS} at most"
        return RequestRefused("too-many-parameters", detail)
    return None
