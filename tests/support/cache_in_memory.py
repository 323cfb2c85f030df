"""A cache in memory that a test can read."""

import asyncio
from collections.abc import Sequence

from services.common.presence import Presence, read_presences


class Board:
    """A cache in memory; `changed` with every write. `seconds` is how long a value is to be kept."""

    def __init__(self) -> None:
        self.kept: dict[str, bytes] = {}
        self.seconds: dict[str, float] = {}
        self.changed = asyncio.Event()

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        self.kept[key] = value
        self.seconds[key] = seconds
        self.changed.set()

    async def delete(self, keys: Sequence[str]) -> None:
        for key in keys:
            self.kept.pop(key, None)

    async def told(self, phase: str) -> Presence:
        """What is told once that is the phase."""
        async with asyncio.timeout(5):
            while not (found := [one for one in read_presences(self.kept.values()) if one.phase == phase]):
                self.changed.clear()
                await self.changed.wait()
        return found[0]
