"""Tasks beside their callers: for as long as a block runs, or for several callers at once."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, NoReturn, TypeVar

from services.common.budget import time_budget

T = TypeVar("T")


@asynccontextmanager
async def background_task(work: Coroutine[Any, Any, NoReturn]) -> AsyncIterator[None]:
    """Run the work as a task while the block runs, and cancel it at the end."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def shared_task(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Run the work for every caller that waits for it, shielded: without the budget of the one that began it."""
    with time_budget(None):
        task = asyncio.create_task(work)
    # Every caller may have stopped waiting, and then no other code reads its error.
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task
