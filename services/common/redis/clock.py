"""The clock of Redis: gateways and workers of several machines measure by this one what they have to compare."""

import asyncio
import time
from typing import Final, NoReturn

from services.common.errors import BackendUnavailable
from services.common.redis.link import RedisLink

CALL_SECONDS: Final = 2.5
ASK_SECONDS: Final = 10.0  # between two questions: another server may have taken over meanwhile


class RedisClock:
    """Returns the time of Redis in Unix seconds, carried on by a clock that is never set.

    It lags behind Redis by at most a round trip and is never ahead. So an id made before Redis was emptied shows a
    time before that of the first use afterwards, whatever the clock of the gateway says.
    """

    def __init__(self, link: RedisLink) -> None:
        self._link = link
        self._ahead = time.time() - time.monotonic()

    def __call__(self) -> float:
        return time.monotonic() + self._ahead

    async def ask(self) -> None:
        """Take over the time of Redis. Raises BackendUnavailable."""
        seconds, microseconds = await self._link.call("statuses", CALL_SECONDS, "TIME")
        self._ahead = int(seconds) + int(microseconds) / 1e6 - time.monotonic()

    async def follow(self) -> NoReturn:
        """Ask again from time to time, until cancelled; without an answer the clock goes on as before."""
        while True:
            await asyncio.sleep(ASK_SECONDS)
            try:
                await self.ask()
            except BackendUnavailable:
                continue
