"""Background tasks that end with a block."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NoReturn


@asynccontextmanager
async def background_task(work: Coroutine[Any, Any, NoReturn]) -> AsyncIterator[None]:
    """Run the work as a task while the block runs, and cancel it at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])
