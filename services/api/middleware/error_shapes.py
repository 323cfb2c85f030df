"""Gives every problem the shape that its reader understands: a page in a browser, OpenAI's shape for its clients.

Handlers and middleware below this one answer RFC 9457 problems only, so no refusal can miss its shape, however early it
comes.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.http.dialect import has_wrong_base, speaks_openai
from services.api.http.problems import MEDIA_TYPE
from services.api.openai.shape import openai_shape

_SDK: Final = "x-stainless-lang"  # sent by OpenAI's own clients, to whatever path their base URL makes
_FOR_PROGRAMS: Final = ("/v1/", "/problems/", "/openapi.json", "/livez", "/readyz")
_MOST: Final = 50  # media types that are read; browsers send about eight

Problem = Mapping[str, Any]
Render = Callable[[Problem], str]


class ErrorShapes:
    """`page` renders a problem as HTML."""

    def __init__(self, app: ASGIApp, page: Render) -> None:
        self._app = app
        self._page = page

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path, headers = scope["path"], Headers(scope=scope)
        held: Message | None = None
        body = b""

        async def send_shaped(message: Message) -> None:
            nonlocal held, body
            if message["type"] == "http.response.start" and Headers(scope=message).get("content-type") == MEDIA_TYPE:
                held = message
                return
            if held is None:
                await send(message)
                return
            body += message.get("body", b"")
            if message.get("more_body", False):
                return
            content, media_type = self._shaped(json.loads(body), path, headers) if body else (body, MEDIA_TYPE)
            start = {**held, "headers": [*held["headers"]]}
            MutableHeaders(scope=start).update({"Content-Type": media_type, "Content-Length": str(len(content))})
            await send(start)
            await send({"type": "http.response.body", "body": content})

        await self._app(scope, receive, send_shaped)

    def _shaped(self, problem: Problem, path: str, headers: Headers) -> tuple[bytes, str]:
        theirs = speaks_openai(path) or _SDK in headers
        if theirs or (has_wrong_base(path) and not _wants_page(path, headers)):
            return json.dumps(openai_shape(problem)).encode("ascii"), "application/json"
        if _wants_page(path, headers):
            # A detail may quote half of a surrogate pair, which has no UTF-8.
            return self._page(problem).encode("utf-8", "replace"), "text/html; charset=utf-8"
        return json.dumps(problem).encode("ascii"), MEDIA_TYPE


def _wants_page(path: str, headers: Headers) -> bool:
    """True for a browser that would show the answer to a person, rather than hand it to a script."""
    accept, mode = headers.get("accept", ""), headers.get("sec-fetch-mode")
    if not _prefers_html(accept) or mode not in (None, "navigate"):
        return False
    if mode is None and path.startswith(_FOR_PROGRAMS):
        # By HTTP browsers do not say more than this, and what they accept is longer than what programs do.
        return "application/xhtml+xml" in accept and "sec-fetch-site" not in headers
    return True


def _prefers_html(accept: str) -> bool:
    """True if the client names HTML, with at least the weight that it gives to JSON by name (RFC 9110, 12.5.1)."""
    weights = {"text/html": 0.0, "application/json": 0.0, MEDIA_TYPE: 0.0}
    for part in accept.lower().split(",", _MOST)[:_MOST]:
        name, _, parameters = part.partition(";")
        _, _, weight = parameters.partition("q=")
        if name.strip() in weights:
            weights[name.strip()] = _number(weight.partition(";")[0])
    html = weights.pop("text/html")
    return html > 0 and html >= max(weights.values())


def _number(text: str) -> float:
    try:
        return float(text.strip() or 1)
    except ValueError:
        return 0.0
