"""What is made and not yet over: its results are on their way to the stores."""

import asyncio


class Aftermath:
    """A worker that goes down charges an attempt to whatever it has begun, and a job in its aftermath is begun.

    So what may take the worker down, for it came back from one that did, waits until there is nobody else to charge.
    """

    def __init__(self) -> None:
        self._jobs = 0
        self._nobody = asyncio.Event()
        self._nobody.set()

    def enter(self) -> None:
        self._jobs += 1
        self._nobody.clear()

    def leave(self) -> None:
        self._jobs -= 1
        if not self._jobs:
            self._nobody.set()

    async def over(self) -> None:
        """Return when no job is in it."""
        await self._nobody.wait()
