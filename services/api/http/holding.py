"""Responses that hold something while they are sent: a stored file, or a turn to send one."""

from contextlib import AbstractAsyncContextManager
from typing import Any, Self

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send


class HoldingResponse(Response):
    """Its context, given by `holding`, ends when the whole is sent or the client has left."""

    def holding(self, held: AbstractAsyncContextManager[Any]) -> Self:
        """Hold this, which was entered already or is entered when the answer begins, and return the response."""
        self._held = held
        return self

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._held:
            await super().__call__(scope, receive, send)


class HoldingStream(HoldingResponse, StreamingResponse):
    """The same, sent piece by piece."""
