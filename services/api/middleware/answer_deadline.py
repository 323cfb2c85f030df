"""Gives up an answer whose client does not read it: it holds memory, a file or a connection to a backend."""

import asyncio
from collections.abc import Iterator
from typing import Final

import structlog
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger(__name__)

PIECE_BYTES: Final = 64 * 1024
PIECE_SECONDS: Final = 15.0  # so a client must read about 4 kB a second, and may pause for so long


class AnswerDeadline:
    """Sending raises ClientDisconnect when the client takes more than PIECE_SECONDS for a piece of the answer.

    The server then closes the connection of HTTP/1.1, and resets the stream of HTTP/2. The system's buffers take the
    first pieces (see `listening`): only the rest waits for the client.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given_up = False

        async def send_in_time(message: Message) -> None:
            nonlocal given_up
            if given_up:
                raise ClientDisconnect
            try:
                for piece in _pieces(message):
                    async with asyncio.timeout(PIECE_SECONDS):
                        await send(piece)
            except TimeoutError as exc:
                given_up = True
                log.warning("client does not read its answer, given up", seconds=PIECE_SECONDS)
                raise ClientDisconnect from exc

        try:
            await self._app(scope, receive, send_in_time)
        except ClientDisconnect:
            if not given_up:
                raise


def _pieces(message: Message) -> Iterator[Message]:
    body = message.get("body", b"")
    if len(body) <= PIECE_BYTES:
        yield message
        return
    view, last = memoryview(body), len(body) - 1
    for start in range(0, len(body), PIECE_BYTES):
        more = message.get("more_body", False) or start + PIECE_BYTES <= last
        yield {**message, "body": bytes(view[start : start + PIECE_BYTES]), "more_body": more}
