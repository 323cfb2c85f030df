"""Reads the rest of a body that no handler read, after the answer.

There are two reasons. Hypercorn passes a body through a queue of ten chunks, and the end of a response has to go into
that queue: while it is full, the connection hangs forever. And closing a socket with unread data resets it, so that
the client can lose the answer before reading it.
"""

import asyncio
from contextlib import suppress
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.middleware.body import Pieces, may_have_body

LINGER_SECONDS: Final = 1.0


class UnreadBody:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not may_have_body(scope):
            await self._app(scope, receive, send)
            return
        body = _Body(receive)

        async def send_then_linger(message: Message) -> None:
            if body.complete or message["type"] != "http.response.body" or message.get("more_body", False):
                await send(message)
                return
            await send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(LINGER_SECONDS):
                    await body.linger()
            discarding = asyncio.create_task(body.discard())
            try:
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            finally:
                discarding.cancel()

        await self._app(scope, body.receive, send_then_linger)


class _Body:
    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pieces = Pieces()
        self.complete = False

    async def receive(self) -> Message:
        message = await self._receive()
        self._pieces.add(message)
        if message["type"] != "http.request" or not message.get("more_body", False):
            self.complete = True
        return message

    async def linger(self) -> None:
        """Read to the end, or until the body turns out to come in crumbs, which would cost too much."""
        while not self.complete and not self._pieces.crumbs:
            await self.receive()

    async def discard(self) -> None:
        while not self.complete:
            await self.receive()
