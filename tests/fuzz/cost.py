"""Measures what a request costs a gateway that runs in another thread: the time of its event loop, and the answer."""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final, Self

from tests.fuzz.connection import Connection
from tests.fuzz.requests import GeneratedRequest
from tests.support.live_server import Answer, LiveGateway

_BEAT_SECONDS: Final = 0.004
_PATIENCE_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Cost:
    """`busy` is the processor time of the loop's thread, `late` the most by which the loop was late; in seconds.

    Processor time does not grow when other programs are busy, and is never below the time for which a request keeps
    the loop from others. `answer_bytes` counts the body and the head.
    """

    busy: float
    late: float
    answer_bytes: int
    answer: Answer

    def least(self, other: Self) -> "Cost":
        """Return the smaller times of two measurements of the same request: noise only adds to them."""
        return Cost(min(self.busy, other.busy), min(self.late, other.late), self.answer_bytes, self.answer)


class CostMeter:
    """Sends requests one after the other, so that all that the loop does meanwhile is done for them."""

    def __init__(self, live: LiveGateway) -> None:
        self._live = live
        self._connection = Connection(live.address)
        self._late = 0.0

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Watch the loop while the block runs."""
        beating = asyncio.run_coroutine_threadsafe(self._beat(), self._live.loop)
        try:
            yield self
        finally:
            self._connection.close()
            beating.cancel()

    def cost_of(self, request: GeneratedRequest) -> Cost:
        before, _ = self._on_the_loop(self._begin())
        answer = self._connection.exchange(request)
        after, late = self._on_the_loop(self._end())
        head = sum(len(name) + len(value) + 4 for name, value in answer.headers.items())
        return Cost(after - before, late, head + len(answer.body), answer)

    def _on_the_loop(self, call: Coroutine[Any, Any, tuple[float, float]]) -> tuple[float, float]:
        return asyncio.run_coroutine_threadsafe(call, self._live.loop).result(_PATIENCE_SECONDS)

    async def _begin(self) -> tuple[float, float]:
        await asyncio.sleep(_BEAT_SECONDS)  # the last request may have left something to do
        self._late = 0.0
        return time.thread_time(), 0.0

    async def _end(self) -> tuple[float, float]:
        busy = time.thread_time()
        await asyncio.sleep(_BEAT_SECONDS)  # a beat that is due tells how late it is
        return busy, self._late

    async def _beat(self) -> None:
        now = asyncio.get_running_loop().time
        with suppress(asyncio.CancelledError):
            while True:
                due = now() + _BEAT_SECONDS
                await asyncio.sleep(_BEAT_SECONDS)
                self._late = max(self._late, now() - due)
