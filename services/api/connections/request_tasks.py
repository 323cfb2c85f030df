"""The tasks that answer the requests of one connection.

Hypercorn hands a body to the application through a queue of a few pieces, and puts the news that the client has left
behind them. Where the application reads no more, both would wait for room in the queue, and the connection forever.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from hypercorn.asyncio.task_group import TaskGroup
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, ASGIReceiveEvent, ASGISendEvent, Scope


class RequestTasks(TaskGroup):
    """As Hypercorn's, but the end of a request is put at once, and what waits for room then waits no longer."""

    async def spawn_app(
        self,
        app: AppWrapper,
        config: Config,
        scope: Scope,
        send: Callable[[ASGISendEvent | None], Awaitable[None]],
    ) -> Callable[[ASGIReceiveEvent], Awaitable[None]]:
        received = _Received(config.max_app_queue_size)

        async def reading(scope: Scope, receive: Any, send: Any, sync_spawn: Any, call_soon: Any) -> None:  # noqa: ARG001
            await app(scope, received.get, send, sync_spawn, call_soon)

        await super().spawn_app(reading, config, scope, send)
        return received.put


class _Received(asyncio.Queue[ASGIReceiveEvent]):
    """Holds what a client has sent for one request."""

    _over = False

    def full(self) -> bool:
        return not self._over and super().full()

    async def put(self, event: ASGIReceiveEvent) -> None:
        if event["type"] not in ("http.disconnect", "websocket.disconnect"):
            await super().put(event)
            return
        if self.full():
            self.get_nowait()  # has the piece that waits for room go on, which comes behind the end
        self._over = True
        self.put_nowait(event)
