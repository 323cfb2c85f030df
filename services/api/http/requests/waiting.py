"""Waits on behalf of a client for as long as it is there."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

_Result = TypeVar("_Result")


async def while_client_waits(request: Request[Any], work: Coroutine[Any, Any, _Result]) -> _Result:
    """Return the result of the work. The body of the request must have been read.

    Raises ClientDisconnect when the client closes its connection first; the work is then canceled.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_hung_up(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        leaving.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)
    raise ClientDisconnect


async def _hung_up(request: Request[Any]) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
