"""Whether a model's queue has room for one more job, without asking the broker for each."""

import asyncio
from dataclasses import dataclass
from typing import Final

from services.common.ports import Broker

FRESH_SECONDS: Final = 0.1


@dataclass
class _Seen:
    jobs: int  # in the queue when the broker was asked, and let in since
    until: float  # on the event loop's clock


class QueueCapacity:
    """Remembers for FRESH_SECONDS what the broker said, and counts what it lets in meanwhile."""

    def __init__(self, broker: Broker, queue_limit: int) -> None:
        self._broker = broker
        self._queue_limit = queue_limit
        self._seen: dict[str, _Seen] = {}
        self._asking: dict[str, asyncio.Task[_Seen]] = {}

    async def admit(self, model: str) -> bool:
        """Whether the job may come in; never refused on what is only remembered. Raises BackendUnavailable."""
        seen = self._seen.get(model)
        if seen is None or seen.jobs >= self._queue_limit or asyncio.get_running_loop().time() > seen.until:
            seen = await self._ask_once(model)
        if seen.jobs >= self._queue_limit:
            return False
        seen.jobs += 1
        return True

    async def _ask_once(self, model: str) -> _Seen:
        """All who come while it is being asked share the answer, whoever of them gives up."""
        task = self._asking.get(model)
        if task is None:
            task = self._asking[model] = asyncio.create_task(self._ask(model))
            task.add_done_callback(lambda task: task.cancelled() or task.exception())  # nobody may be waiting
        return await asyncio.shield(task)

    async def _ask(self, model: str) -> _Seen:
        try:
            jobs = await self._broker.depth(model)
        finally:
            del self._asking[model]
        seen = self._seen[model] = _Seen(jobs, asyncio.get_running_loop().time() + FRESH_SECONDS)
        return seen
