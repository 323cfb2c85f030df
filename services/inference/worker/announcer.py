"""The announcement by which gateways know a model of this worker: its phase and its pace, kept in the cache."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Final, NoReturn, Self

from services.common.background import background_task
from services.common.presence import BEAT_SECONDS, FORGOTTEN_SECONDS, WORKERS, Phase, Presence
from services.inference.batching.served_model import ServedModel
from services.inference.worker.best_effort import BestEffort

LOOK_SECONDS: Final = 0.5  # between checks for a change


class Announcer:
    """Announces a model: `loading` until `serve`, then what that says of it, and `draining` from `drain` on.

    A model that `serve` was told of is `unavailable` once it has failed, `loading`, or else `ready` (also where it is
    loaded for the next job), `busy`, or `disconnected` from its queue.
    """

    def __init__(self, cache: BestEffort, worker_id: str, model: str) -> None:
        self._cache = cache
        self._worker_id = worker_id
        self._key = f"{WORKERS}/{worker_id}-{model}"
        self._model = model
        self._draining = False
        self._failed = False
        self._served: ServedModel | None = None
        self._consuming: Callable[[], bool] = lambda: False
        self._busy: Callable[[], bool] = lambda: False
        self._waiting: Callable[[], tuple[str, ...]] = tuple
        self._phase: Phase = "loading"
        self._since = time.time()

    def serve(
        self,
        served: ServedModel,
        consuming: Callable[[], bool],
        busy: Callable[[], bool],
        waiting: Callable[[], tuple[str, ...]] = tuple,
    ) -> None:
        """Announce a model that is served.

        `consuming` says if jobs can come, `busy` if the model thread is at work, and `waiting` which jobs of the model
        the worker holds and has not begun.
        """
        self._served, self._consuming, self._busy, self._waiting = served, consuming, busy, waiting

    def fail(self) -> None:
        """Announce that the model cannot be served."""
        self._failed = True

    def drain(self) -> None:
        """Announce that no job is taken any more."""
        self._draining = True

    @asynccontextmanager
    async def announcing(self) -> AsyncIterator[Self]:
        """Announce the model while the block runs, and delete the announcement at its end."""
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
        served = self._served
        return Presence(
            worker_id=self._worker_id,
            model=self._model,
            phase=phase,
            since=self._since,
            max_batch=served.adapter.max_batch if served else 1,
            paces=served.timings.paces if served else {},
            load_seconds=0.0 if served is None or served.loaded else served.load_seconds,
            waiting=self._waiting(),
        )

    def _news(self) -> tuple[Phase, int, bool, tuple[str, ...]]:
        """Return the state that is announced at once when it changes."""
        phase, served = self._phase_now(), self._served
        calls = served.timings.calls if served and phase in ("ready", "busy") else 0
        return phase, calls, bool(served and served.loaded), self._waiting()

    def _phase_now(self) -> Phase:
        served = self._served
        if self._draining:
            return "draining"
        if self._failed or (served and served.failed.is_set()):
            return "unavailable"
        if served is None or served.loading:
            return "loading"
        if not self._consuming():
            return "disconnected"
        return "busy" if self._busy() else "ready"
