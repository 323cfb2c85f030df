"""A deadline that holds whatever the client library does."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from aio_pika.exceptions import AMQPError

T = TypeVar("T")

# What aio-pika and aiormq raise when a connection is refused, lost, closed (RuntimeError) or silent.
FAILURES: Final = (AMQPError, OSError, RuntimeError, TimeoutError)

_left_behind: set[asyncio.Task[Any]] = set()  # the event loop itself holds tasks only weakly


async def within(seconds: float, work: Coroutine[Any, Any, T], patience: float | None = None) -> T:
    """Return what `work` returns, or raise TimeoutError after `seconds`.

    A caller of less `patience` gets its TimeoutError sooner.

    Not asyncio.timeout: aiormq cleans up after a cancellation by writing to a queue that a peer which stopped
    reading has filled, so a cancelled call may never end. Here it is left behind instead. Nor is a call cancelled
    at once when its caller is: that would close the AMQP channel it shares with others; it keeps its deadline.
    """
    task, waited = asyncio.create_task(work), seconds if patience is None else min(seconds, patience)
    try:
        done, _ = await asyncio.wait({task}, timeout=waited)
    except asyncio.CancelledError:
        _leave_behind(task, seconds)
        raise
    if not done:
        _leave_behind(task, seconds - waited)
        raise TimeoutError(f"no answer within {waited:.3g} s")
    if task.cancelled():  # aiormq cancels those who wait on a connection that closes
        raise ConnectionError("the connection was closed")
    return task.result()


def _leave_behind(task: asyncio.Task[Any], seconds: float) -> None:
    _left_behind.add(task)
    task.add_done_callback(_forget)
    asyncio.get_running_loop().call_later(seconds, task.cancel)


def _forget(task: asyncio.Task[Any]) -> None:
    _left_behind.discard(task)
    if not task.cancelled():
        task.exception()  # marks it as retrieved
