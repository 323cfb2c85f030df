"""Connections to Redis whose every call ends in time, and whose callers can be cancelled."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import RedisError

from services.common.errors import BackendUnavailable

SOCKET_SECONDS: Final = 1.0


@asynccontextmanager
async def open_redis(url: str, *, connections: int, texts: bool) -> AsyncIterator[Redis]:
    """Connects when it is first used. With `texts` answers are str, else bytes.

    redis-py's own defaults are 10 retries of 5 s each, and a pool that raises when it is empty instead of waiting.
    """
    pool = BlockingConnectionPool.from_url(
        url,
        max_connections=connections,
        timeout=SOCKET_SECONDS,
        socket_timeout=SOCKET_SECONDS,
        socket_connect_timeout=SOCKET_SECONDS,
        retry=Retry(ExponentialBackoff(cap=0.1, base=0.01), retries=1),
        decode_responses=texts,
    )
    client = Redis.from_pool(pool)
    try:
        yield client
    finally:
        await client.aclose()


@asynccontextmanager
async def answering(backend: str, seconds: float) -> AsyncIterator[None]:
    """Around one call: raises BackendUnavailable, under the name `backend`, for what fails or takes longer."""
    with _keeping_cancellation():
        try:
            async with asyncio.timeout(seconds):
                yield
        except (RedisError, OSError, TimeoutError) as exc:
            raise BackendUnavailable(backend, str(exc) or f"no answer within {seconds:g} s") from exc


@contextmanager
def _keeping_cancellation() -> Iterator[None]:
    """Raise CancelledError when the task was cancelled inside the block, whatever became of that there.

    redis-py sends within asyncio.wait_for, which before Python 3.12 returns as if nothing had been when the
    cancellation meets its result (https://github.com/python/cpython/issues/86296): a loop that ends by being
    cancelled then goes on for ever. Counts are compared because a task that is being cancelled may clean up with
    calls of its own. Not for the inside of an asyncio.timeout: that cancels, too, and takes it back at its end.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    try:
        yield
    finally:
        if task and task.cancelling() > before:
            raise asyncio.CancelledError
