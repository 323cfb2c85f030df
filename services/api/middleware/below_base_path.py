"""Takes the base path off the paths of requests and puts it before the `Location` of responses.

So routes, metrics and logs know nothing of it. Code that writes links into a body adds `base_path` itself.
"""

from urllib.parse import unquote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_LOCATION = b"location"


class BelowBasePath:
    """Also serves proxies that take the base path off themselves, and probes, which have none.

    ASGI's own `root_path` stays empty: a mounted folder would look for it in the paths of the first kind.
    """

    def __init__(self, app: ASGIApp, base_path: str) -> None:
        self._app = app
        self._base = base_path
        self._path = unquote(base_path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path == self._path or path.startswith(f"{self._path}/"):
            scope["path"] = path.removeprefix(self._path) or "/"

        async def send_below(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [(name, self._below(name, value)) for name, value in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_below)

    def _below(self, name: bytes, value: bytes) -> bytes:
        ours = name.lower() == _LOCATION and value.startswith(b"/")
        return self._base.encode() + value if ours else value
