"""Gives every request one budget of time for all its calls of backends, so that slow ones do not add up."""

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.common.budget import Budget, time_budget

# With the time that a publish adds (see `Publisher`) it stays below the 3 s within which every endpoint answers.
BUDGET_SECONDS: Final = 2.3


class RequestBudget:
    """The way of the body adds to it, since a client may take its time. It ends when the answer begins.

    A stream that follows has the deadlines of its own calls, a chunk each.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        clock = asyncio.get_running_loop().time
        budget = Budget(BUDGET_SECONDS)

        async def receive_beside() -> Message:
            begin = clock()
            message = await receive()
            if message["type"] == "http.request":
                budget.extend(clock() - begin)
            return message

        async def noting_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                budget.lift()
            await send(message)

        with time_budget(budget):
            await self._app(scope, receive_beside, noting_send)
