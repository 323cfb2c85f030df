"""Shares of what is scarce, such as connections: so many in all, a part of them for each party, and fair turns."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class FairShares:
    """At most `most` shares are held, `each` of them by one party. The party that holds the fewest gets the next."""

    def __init__(self, most: int, each: int | None = None) -> None:
        self._most = most
        self._each = each or most
        self._held = Counter[str]()
        self._waiting: dict[asyncio.Future[None], str] = {}  # the longest waiting first

    async def take(self, party: str, seconds: float) -> None:
        """Take a share, which the caller gives back. Raises TimeoutError when none is free within so many seconds."""
        if self._is_free_for(party):
            self._held[party] += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting[turn] = party
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # its turn came in the same moment
                self.give_back(party)
            raise
        finally:
            self._waiting.pop(turn, None)

    def give_back(self, party: str) -> None:
        """Hand the share to a party that waits, if one may have it."""
        self._held[party] -= 1
        if not self._held[party]:
            del self._held[party]
        turns = [turn for turn, waiting in self._waiting.items() if not turn.done() and self._is_free_for(waiting)]
        if turns:
            turn = min(turns, key=lambda each: self._held[self._waiting[each]])
            self._held[self._waiting[turn]] += 1
            turn.set_result(None)

    @asynccontextmanager
    async def share(self, party: str, seconds: float) -> AsyncIterator[None]:
        """Hold a share while the block runs. Raises as `take`."""
        await self.take(party, seconds)
        try:
            yield
        finally:
            self.give_back(party)

    def _is_free_for(self, party: str) -> bool:
        return self._held.total() < self._most and self._held[party] < self._each
