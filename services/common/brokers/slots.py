"""The number of further deliveries that a consumer takes from each lane."""

import asyncio


class Slots:
    """Begins with `prefetch` free slots for each lane."""

    def __init__(self, prefetch: int) -> None:
        self._free = {False: prefetch, True: prefetch}
        self._changed = asyncio.Event()

    @property
    def free_lanes(self) -> tuple[bool, ...]:
        return tuple(bulk for bulk, free in self._free.items() if free)

    @property
    def most_at_once(self) -> int:
        """The number that may be taken at once, from any of the free lanes."""
        return min(free for free in self._free.values() if free)

    async def any_free(self) -> None:
        while not self.free_lanes:
            self._changed.clear()
            await self._changed.wait()

    def take(self, *, bulk: bool) -> None:
        self._free[bulk] -= 1

    def give_back(self, *, bulk: bool) -> bool:
        """Free a slot; return True if the lane had none left."""
        self._free[bulk] += 1
        self._changed.set()
        return self._free[bulk] == 1
