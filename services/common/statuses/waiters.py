"""Who in this process waits for the end of which job. A status store tells it what it hears of."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from services.common.schemas import StatusRecord

# What a store hears of may be lost on its way, so whoever waits looks by himself now and then.
LOOK_SECONDS: Final = 1.0


class Waiters:
    """One for each open store."""

    def __init__(self) -> None:
        self._events: dict[str, list[asyncio.Event]] = {}
        self._anyone = asyncio.Event()

    async def until_ended(
        self, job_id: str, seconds: float, look: Callable[[], Awaitable[StatusRecord]]
    ) -> StatusRecord:
        """What `look` finds once the job is over, or after so many seconds. Raises what `look` raises."""
        if seconds <= 0:
            return await look()
        deadline = time.monotonic() + seconds
        event = asyncio.Event()
        self._events.setdefault(job_id, []).append(event)
        self._anyone.set()
        try:
            while True:
                event.clear()  # before looking: what ends in between is heard of again
                record = await look()
                left = deadline - time.monotonic()
                if record.state.terminal or left <= 0:
                    return record
                with suppress(TimeoutError):
                    async with asyncio.timeout(min(left, LOOK_SECONDS)):
                        await event.wait()
        finally:
            self._leave(job_id, event)

    async def anyone(self) -> None:
        """Return once somebody waits."""
        await self._anyone.wait()

    @property
    def job_ids(self) -> list[str]:
        """The jobs somebody waits for."""
        return list(self._events)

    def ended(self, job_id: str) -> None:
        """The job is over; nobody needs to wait for it."""
        for event in self._events.get(job_id, ()):
            event.set()

    def look_again(self) -> None:
        """Something may have been missed."""
        for job_id in self.job_ids:
            self.ended(job_id)

    def _leave(self, job_id: str, event: asyncio.Event) -> None:
        self._events[job_id].remove(event)
        if not self._events[job_id]:
            del self._events[job_id]
        if not self._events:
            self._anyone.clear()
