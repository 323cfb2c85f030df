"""Measures every request, labeled by the template of its route: the ids in paths would make too many labels."""

import time
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from prometheus_client import Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.telemetry.tracing import Tracer

_METHODS: Final = ("DELETE", "GET", "HEAD", "POST")  # a client may make up any word
_CARRIERS: Final = (b"traceparent", b"tracestate")
_UNTRACED: Final = ("/livez", "/readyz", "/static/")


class Telemetry:
    """Measures and traces requests. It is around all that may take time, so that it covers the client's whole wait."""

    def __init__(self, app: ASGIApp, requests: Histogram, tracer: Tracer) -> None:
        self._app = app
        self._requests = requests
        self._tracer = tracer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = "none"  # the client went away first
        begin = time.perf_counter()

        async def noting_send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        traced = self._tracer.enabled and not scope["path"].startswith(_UNTRACED)
        method = scope["method"] if scope["method"] in _METHODS else "other"
        with self._span(scope, method) if traced else nullcontext():
            try:
                await self._app(scope, receive, noting_send)
            finally:
                route = getattr(scope.get("route"), "path", "other")
                self._requests.labels(method, route, status).observe(time.perf_counter() - begin)
                if traced:
                    self._note(method, route, status)

    def _span(self, scope: Scope, method: str) -> AbstractContextManager[None]:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in _CARRIERS}
        attributes = {"http.request.method": method, "url.path": scope["path"][:200], "url.scheme": scope["scheme"]}
        return self._tracer.span(method, "server", headers, attributes)

    def _note(self, method: str, route: str, status: str) -> None:
        attributes: dict[str, str | int] = {"http.route": route}
        if status.isdigit():
            attributes["http.response.status_code"] = int(status)
        if status.startswith("5"):
            attributes["error.type"] = status
        self._tracer.note(attributes, name=f"{method} {route}")
