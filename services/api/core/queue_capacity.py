"""Admission to a model's queue below its limit, without asking the broker for each job."""

import asyncio
from dataclasses import dataclass
from typing import Final

from services.common.background import shared_task
from services.common.budget import allowed
from services.common.errors import BackendUnavailable
from services.common.ports import Broker

FRESH_SECONDS: Final = 0.1
ASK_SECONDS: Final = 3.0  # more than the broker's own deadline, whose error tells more


@dataclass
class _Seen:
    jobs: int  # in the queue when the broker was asked, and admitted since
    until: float  # on the event loop's clock


class QueueCapacity:
    """Remembers the broker's answer for FRESH_SECONDS, and counts the jobs admitted meanwhile."""

    def __init__(self, broker: Broker, queue_limit: int) -> None:
        self._broker = broker
        self._queue_limit = queue_limit
        self._seen: dict[str, _Seen] = {}
        self._asking: dict[str, asyncio.Task[_Seen]] = {}

    async def admit(self, model: str) -> bool:
        """Return True if the queue has room; a remembered answer never refuses a job. Raises BackendUnavailable."""
        seen = self._seen.get(model)
        if seen is None or seen.jobs >= self._queue_limit or asyncio.get_running_loop().time() > seen.until:
            seen = await self._ask_once(model)
        if seen.jobs >= self._queue_limit:
            return False
        seen.jobs += 1
        return True

    async def _ask_once(self, model: str) -> _Seen:
        """Share one question to the broker among concurrent callers; a caller that gives up does not cancel it."""
        task = self._asking.get(model)
        if task is None:
            task = self._asking[model] = shared_task(self._ask(model))
        try:
            async with asyncio.timeout(allowed(ASK_SECONDS)):
                return await asyncio.shield(task)
        except TimeoutError as exc:
            raise BackendUnavailable("broker", str(exc) or "the length of the queue is not known in time") from exc

    async def _ask(self, model: str) -> _Seen:
        try:
            jobs = await self._broker.depth(model)
        finally:
            del self._asking[model]
        seen = self._seen[model] = _Seen(jobs, asyncio.get_running_loop().time() + FRESH_SECONDS)
        return seen
