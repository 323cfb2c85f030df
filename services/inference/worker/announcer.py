"""The announcement by which gateways know this worker: its phase and its pace, kept in the cache."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, NoReturn, Self
from uuid import uuid4

from services.common.background import background_task
from services.common.presence import BEAT_SECONDS, FORGOTTEN_SECONDS, WORKERS, Phase, Presence
from services.inference.batching.timings import CallTimings
from services.inference.worker.best_effort import BestEffort

LOOK_SECONDS: Final = 0.5  # between checks for a change


class Announcer:
    """Announces `loading` until `serve`, then `ready`, `busy` or `disconnected`, and `draining` from `drain` on."""

    def __init__(self, cache: BestEffort, model: str) -> None:
        self._cache = cache
        self._key = f"{WORKERS}/{uuid4().hex}"
        self._model = model
        self._draining = False
        self._consuming: Callable[[], bool] = lambda: False
        self._timings: CallTimings | None = None
        self._max_batch = 1
        self._phase: Phase = "loading"
        self._since = time.time()

    def serve(self, timings: CallTimings, max_batch: int, consuming: Callable[[], bool]) -> None:
        """Announce that the model is loaded; `consuming` says if jobs can come."""
        self._timings, self._max_batch, self._consuming = timings, max_batch, consuming

    def drain(self) -> None:
        """Announce that no job is taken any more."""
        self._draining = True

    @asynccontextmanager
    async def announcing(self) -> AsyncIterator[Self]:
        """Announce the worker while the block runs, and delete the announcement at its end."""
        try:
            async with background_task(self._announce()):
                yield self
        finally:
            await self._cache.delete([self._key])

    async def _announce(self) -> NoReturn:
        while True:
            news = self._news()
            await self._cache.put(self._key, self._presence(news[0]).model_dump_json().encode(), FORGOTTEN_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(BEAT_SECONDS):
                    while self._news() == news:  # noqa: ASYNC110 - the state is plain numbers
                        await asyncio.sleep(LOOK_SECONDS)

    def _presence(self, phase: Phase) -> Presence:
        if phase != self._phase:
            self._phase, self._since = phase, time.time()
        return Presence(
            worker_id=self._key.rpartition("/")[2],
            model=self._model,
            phase=phase,
            since=self._since,
            max_batch=self._max_batch,
            paces=self._timings.paces if self._timings else {},
        )

    def _news(self) -> tuple[Phase, int]:
        """Return the state that is announced at once when it changes."""
        if self._draining:
            return "draining", 0
        if self._timings is None:
            return "loading", 0
        if not self._consuming():
            return "disconnected", 0
        return "busy" if self._timings.busy else "ready", self._timings.calls
