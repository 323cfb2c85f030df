"""The link to Redis: every call has a deadline and can be cancelled, and concurrent calls share a round trip."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import ExponentialBackoff
from redis.exceptions import NoScriptError, RedisError

from services.common.budget import allowed
from services.common.errors import BackendUnavailable
from services.common.faults.redis import redis_fault, refuses
from services.common.faults.refusals import Refusals

SOCKET_SECONDS: Final = 1.0
# uvloop raises RuntimeError for a connection reset during a write, and redis-py lets that through.
OUTAGES: Final = (RedisError, OSError, RuntimeError, TimeoutError)
ROUND_TRIP_SECONDS: Final = 2.5
CONNECTIONS: Final = 4  # one for the round trips, the others for subscriptions
MOST_CALLS: Final = 64  # in one round trip: many share its cost, and none waits long for the others
RENEW_SECONDS: Final = 0.1  # between two renewals: a server that goes on refusing must not eat up the ports

Part = str | bytes | float  # of a command


class Script:
    """Lua that Redis runs as one call. Redis keeps it by its digest until it is started anew."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


@dataclass(frozen=True)
class _Call:
    command: Sequence[Part]
    answer: asyncio.Future[Any]


class RedisLink:
    """Collects the calls made during a round trip, and sends them as one pipeline in the next.

    So concurrent callers share a round trip and its cost. Answers are bytes. Opened by `open_redis_link`.

    A server that serves us no more (a replica after a failover, a full disk or memory, other credentials) is left: the
    calls it refused are made again over a new connection, since the name may stand for another server by now.
    `renewals` counts these changes.
    """

    def __init__(self, client: Redis) -> None:
        self.client = client
        self.renewals = 0
        self._renewed_at = -RENEW_SECONDS
        self._refusals = Refusals("redis")
        self._waiting: list[_Call] = []
        self._flushing: asyncio.Task[None] | None = None

    async def call(self, backend: str, seconds: float, *command: Part) -> Any:
        """Return the answer. Raises BackendUnavailable, named `backend`, for a call that fails or takes longer."""
        try:
            seconds = allowed(seconds)
            async with asyncio.timeout(seconds):
                return await self._answer(command)
        except OUTAGES as exc:
            raise self._unavailable(backend, seconds, exc) from exc

    async def run(self, backend: str, seconds: float, script: Script, keys: Sequence[str], args: Sequence[Part]) -> Any:
        """Return the answer of the script. Raises as `call`."""
        try:
            seconds = allowed(seconds)
            async with asyncio.timeout(seconds):
                try:
                    return await self._answer(("EVALSHA", script.digest, len(keys), *keys, *args))
                except NoScriptError:
                    return await self._answer(("EVAL", script.text, len(keys), *keys, *args))
        except OUTAGES as exc:
            raise self._unavailable(backend, seconds, exc) from exc

    @asynccontextmanager
    async def answering(self, backend: str, seconds: float) -> AsyncIterator[None]:
        """Give the block, one call of redis-py, a deadline. Raises as `call`, and CancelledError when due."""
        with _keeping_cancellation():
            try:
                seconds = allowed(seconds)
                async with asyncio.timeout(seconds):
                    yield
            except OUTAGES as exc:
                if refuses(exc):
                    await self._renew()
                raise self._unavailable(backend, seconds, exc) from exc

    def mended(self) -> None:
        """Take note that Redis has just read and written: a fault that comes back is told again."""
        self._refusals.mended()

    def _answer(self, command: Sequence[Part]) -> asyncio.Future[Any]:
        call = _Call(command, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        if self._flushing is None:
            self._flushing = asyncio.create_task(self._flush())
        return call.answer

    async def _flush(self) -> None:
        """Send pipelines until no call waits."""
        try:
            while self._waiting:
                calls, self._waiting = self._waiting[:MOST_CALLS], self._waiting[MOST_CALLS:]
                await self._send([call for call in calls if not call.answer.done()])  # without cancelled ones
        finally:
            self._flushing = None

    async def _send(self, calls: Sequence[_Call]) -> None:
        answers = await self._round_trip(calls)
        refused = [index for index, answer in enumerate(answers) if refuses(answer)]
        if refused and await self._renew():
            for index, answer in zip(refused, await self._round_trip([calls[each] for each in refused]), strict=True):
                answers[index] = answer
        for call, answer in zip(calls, answers, strict=True):
            if call.answer.done():
                continue
            if isinstance(answer, Exception):
                call.answer.set_exception(answer)
            else:
                call.answer.set_result(answer)

    async def _round_trip(self, calls: Sequence[_Call]) -> list[Any]:
        """Return the answer to each call, or the exception that is its answer."""
        pipeline = self.client.pipeline(transaction=False)
        for call in calls:
            pipeline.execute_command(*call.command)
        try:
            async with asyncio.timeout(ROUND_TRIP_SECONDS):
                return await pipeline.execute(raise_on_error=False)
        except Exception as exc:  # noqa: BLE001 - every caller gets it, whatever it is
            return [exc] * len(calls)

    async def _renew(self) -> bool:
        """Close idle connections, so that the next calls look up the name anew. Return False if it was just done."""
        now = asyncio.get_running_loop().time()
        if now - self._renewed_at < RENEW_SECONDS:
            return False
        self._renewed_at = now
        self.renewals += 1
        with suppress(*OUTAGES):  # a connection that does not close in time is given up all the same
            await self.client.connection_pool.disconnect(inuse_connections=False)
        return True

    def _unavailable(self, backend: str, seconds: float, exc: Exception) -> BackendUnavailable:
        pool = self.client.connection_pool
        fault = redis_fault(exc, pool.connection_kwargs, tls=issubclass(pool.connection_class, SSLConnection))
        return self._refusals.error(str(exc) or f"no answer within {seconds:.3g} s", fault, backend)

    async def close(self) -> None:
        """Close the connections; calls that still wait get no answer."""
        self._waiting.clear()
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.wait({self._flushing})
        with suppress(*OUTAGES):  # redis-py gives a connection SOCKET_SECONDS to close, and raises after that
            await self.client.aclose()


@asynccontextmanager
async def open_redis_link(url: str) -> AsyncIterator[RedisLink]:
    """Open a link, which connects when it is first used.

    redis-py's own defaults are 10 retries of 5 s each, and a pool that raises when it is empty instead of waiting.
    """
    link = RedisLink(Redis.from_pool(_pool(url)))
    try:
        yield link
    finally:
        await link.close()


def _pool(url: str) -> BlockingConnectionPool:
    try:
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=SOCKET_SECONDS,
            socket_timeout=SOCKET_SECONDS,
            socket_connect_timeout=SOCKET_SECONDS,
            retry=Retry(ExponentialBackoff(cap=0.1, base=0.01), retries=1),
        )
        pool.make_connection()  # type: ignore[no-untyped-call]  # connects later, and takes the words behind the ? now
    except (TypeError, ValueError) as exc:
        raise ValueError(f"STUDIO_STATUSES_URL: what stands behind the ? is not understood: {exc}") from exc
    return pool


@contextmanager
def _keeping_cancellation() -> Iterator[None]:
    """Raise CancelledError when the task was cancelled inside the block, even where the block swallowed it.

    redis-py sends within asyncio.wait_for, which before Python 3.12 swallows a cancellation
    that coincides with its result (https://github.com/python/cpython/issues/86296): a loop that ends by being
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
