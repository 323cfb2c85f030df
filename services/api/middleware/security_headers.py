"""Puts the security headers for browsers on every response; a header that the response has itself stays."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer: with it a form's POST says `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class SecurityHeaders:
    """`file_origins` are origins besides our own from which pages may show images and play sound."""

    def __init__(self, app: ASGIApp, file_origins: tuple[str, ...] = ()) -> None:
        self._app = app
        files = " ".join(("'self'", "blob:", "data:", *file_origins))
        policy = (
            f"default-src 'self'; img-src {files}; media-src {files}; object-src 'none'; base-uri 'none'; "
            "frame-ancestors 'none'; form-action 'self'"
        )
        headers = {"Content-Security-Policy": policy, **_HEADERS}
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name for name, _ in message["headers"]}
                ours = [header for header in self._headers if header[0] not in given]
                message = {**message, "headers": [*message["headers"], *ours]}
            await send(message)

        await self._app(scope, receive, send_with_headers)
