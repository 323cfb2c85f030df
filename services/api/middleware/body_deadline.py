"""Refuses a request body that does not arrive in time. Hypercorn would wait for it forever."""

import asyncio
from collections.abc import Mapping

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from services.api.auth.refusal import RequestRefused
from services.api.middleware.body import may_have_body


class BodyDeadline:
    """A read raises RequestRefused when the body is not complete `seconds` after the request began.

    `of_paths` has the seconds of the paths that take files. Once an answer has begun, a read has no deadline: it only
    waits for the client to leave.
    """

    def __init__(self, app: ASGIApp, seconds: float, of_paths: Mapping[str, float] | None = None) -> None:
        self._app = app
        self._seconds = seconds
        self._of_paths = of_paths or {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not may_have_body(scope):
            await self._app(scope, receive, send)
            return
        seconds = self._of_paths.get(scope["path"], self._seconds)
        deadline = asyncio.get_running_loop().time() + seconds
        unlimited = False

        async def receive_in_time() -> Message:
            nonlocal unlimited
            if unlimited:
                return await receive()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError as exc:
                detail = f"the body was not complete after {seconds:g} seconds: send it again, without pauses"
                raise RequestRefused("body-timeout", detail) from exc
            unlimited = not message.get("more_body", False)
            return message

        async def noting_send(message: Message) -> None:
            nonlocal unlimited
            unlimited = True
            await send(message)

        await self._app(scope, receive_in_time, noting_send)
