"""The callers of this process that wait for the end of a job; the status store tells which jobs ended."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final

from services.common.schemas import StatusRecord

# A notification may be lost, so a waiting caller also looks by itself now and then.
LOOK_SECONDS: Final = 1.0


class Waiters:
    """One for each open store."""

    def __init__(self) -> None:
        self._events: dict[str, list[asyncio.Event]] = {}
        self._anyone = asyncio.Event()

    async def until_ended(
        self, job_id: str, seconds: float, look: Callable[[], Awaitable[StatusRecord]]
    ) -> StatusRecord:
        """Return what `look` finds once the job is over, or after so many seconds. Raises what `look` raises."""
        if seconds <= 0:
            return await look()
        deadline = time.monotonic() + seconds
        event = asyncio.Event()
        self._events.setdefault(job_id, []).append(event)
        self._anyone.set()
        try:
            while True:
                event.clear()  # before looking: an end in between sets it again
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
        """Return once any caller waits."""
        await self._anyone.wait()

    @property
    def job_ids(self) -> list[str]:
        """The jobs that callers wait for."""
        return list(self._events)

    def ended(self, job_id: str) -> None:
        """Wake the callers that wait for this job: it is over."""
        for event in self._events.get(job_id, ()):
            event.set()

    def look_again(self) -> None:
        """Wake all callers: a notification may have been lost."""
        for job_id in self.job_ids:
            self.ended(job_id)

    def _leave(self, job_id: str, event: asyncio.Event) -> None:
        self._events[job_id].remove(event)
        if not self._events[job_id]:
            del self._events[job_id]
        if not self._events:
            self._anyone.clear()
