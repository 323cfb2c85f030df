"""The previews of one job: stored in the cache while it runs, for the gateway, and deleted at its end."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

import structlog

from services.common.preview_cache import preview_key
from services.inference.runtime.outputs import Preview
from services.inference.worker.best_effort import BestEffort

log = structlog.get_logger(__name__)

AFTER_SECONDS: Final = 60.0  # for encoding and storing the outputs of the call


class Previews:
    """Stores the newest preview of each image, and calls `on_stored` after each round.

    `call_seconds` is the longest that a call may take. A preview is kept that long, so it outlives slow steps.
    """

    def __init__(self, cache: BestEffort, job_id: str, on_stored: Callable[[], object], *, call_seconds: float) -> None:
        self._cache = cache
        self._job_id = job_id
        self._on_stored = on_stored
        self._keep_seconds = call_seconds + AFTER_SECONDS
        self._newest: dict[int, Preview] = {}
        self._keys: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def show(self, index: int, preview: Preview) -> None:
        """Show `preview` for the job's image `index`, in place of an older one that is not stored yet."""
        self._newest[index] = preview
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._store())

    async def clear(self) -> None:
        """Delete all previews."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            await self._cache.delete(sorted(self._keys))

    async def _store(self) -> None:
        while newest := self._newest:
            self._newest = {}
            try:
                files = await asyncio.to_thread(_encoded, newest)
            except Exception:
                log.exception("preview not encoded")  # an adapter's mistake, which fails no job
                return
            stored = False
            for index, file in files.items():
                key = preview_key(self._job_id, index)
                self._keys.add(key)
                stored = await self._cache.put(key, file, self._keep_seconds) or stored
            if stored:
                self._on_stored()


def _encoded(previews: Mapping[int, Preview]) -> dict[int, bytes]:
    return {index: preview.jpeg() for index, preview in previews.items()}
