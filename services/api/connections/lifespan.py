"""The lifespan of an ASGI application, around a block."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from hypercorn.asyncio.lifespan import Lifespan
from hypercorn.config import Config
from hypercorn.typing import AppWrapper, LifespanState
from hypercorn.utils import LifespanFailureError


@asynccontextmanager
async def lifespan_of(app: AppWrapper, config: Config) -> AsyncIterator[LifespanState]:
    """Start the application, yield its state, and shut it down. Raises the error with which it did not start."""
    loop, state = asyncio.get_running_loop(), LifespanState()
    lifespan = Lifespan(app, config, loop, state)
    running = loop.create_task(lifespan.handle_lifespan())
    try:
        await lifespan.wait_for_startup()
        if running.done():
            running.result()
        try:
            yield state
        finally:
            await lifespan.wait_for_shutdown()
            await running
    except LifespanFailureError as exc:
        # Hypercorn knows only its text; Starlette sent that while it handled the original error.
        if isinstance(exc.__context__, Exception):
            raise exc.__context__ from None
        raise
    finally:
        running.cancel()
