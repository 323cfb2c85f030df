"""The memory for models: it loads one when it is needed, and unloads the least recently used ones for it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from services.common.errors import ModelUnavailable, OutOfMemory, ThreadLost
from services.inference.batching.served_model import ServedModel
from services.inference.runtime.memory import give_back_memory, used_bytes, usual_limit
from services.inference.runtime.model_thread import ModelThread

log = structlog.get_logger(__name__)

_MEGABYTE: Final = 1_000_000


class ModelMemory:
    """Keeps what `used` counts within `limit` bytes, as far as one model alone allows. Calls need memory beyond it.

    The size of a model is measured when it is loaded, and before that taken from `size_of`, by its files. `prepare`
    makes a loaded model ready for its first job, or raises ModelUnavailable.
    """

    def __init__(
        self,
        models: Sequence[ServedModel],
        thread: ModelThread,
        prepare: Callable[[ServedModel], Awaitable[None]],
        *,
        limit: int | None = None,
        size_of: Callable[[ServedModel], int] = lambda _model: 0,
        used: Callable[[], int] = used_bytes,
    ) -> None:
        self._models = models
        self._thread = thread
        self._prepare = prepare
        self._limit = limit
        self._size_of = size_of
        self._used = used

    @property
    def busy(self) -> bool:
        """True while the model thread is at work."""
        return self._thread.busy

    async def load(self, model: ServedModel) -> None:
        """Load a model that is not loaded. Raise ModelUnavailable, saying what to do, or ThreadLost.

        One for which the device has no room beside others gets all of it.
        """
        model.loading = True
        try:
            await self._make_room(model)
            try:
                await self._load(model)
            except ModelUnavailable as exc:
                if not isinstance(exc.__cause__, OutOfMemory) or not await self.unload_others(model):
                    raise
                await self._load(model)
            await self._make_room(model)
        finally:
            model.loading = False

    async def unload_others(self, model: ServedModel) -> bool:
        """Give this model all the memory. Return True if another model was unloaded for it."""
        others = self._others(model)
        for other in others:
            await self._unload(other)
        return bool(others)

    async def close(self) -> None:
        """Unload all models."""
        for model in self._models:
            if model.loaded:
                await self._unload(model)

    async def _load(self, model: ServedModel) -> None:
        began, before = _now(), await self._settled()
        try:
            model.renew()
            with model.metrics.stage("load"):
                await model.executor.load()
            await self._prepare(model)
        except ModelUnavailable:
            await self._close(model)
            raise
        model.size = max(0, await self._settled() - before)
        model.used_at = _now()
        model.load_seconds = model.used_at - began
        model.loaded = True
        log.info("model loaded", model=model.name, seconds=round(model.load_seconds, 1), megabytes=_shown(model.size))

    async def _make_room(self, model: ServedModel) -> None:
        """Unload the least recently used of the others until this one fits in."""
        limit = usual_limit() if self._limit is None else self._limit
        while others := self._others(model):
            missing = 0 if model.loaded else self._size_of(model) if model.size is None else model.size
            if await self._settled() + missing <= limit:
                return
            await self._unload(min(others, key=lambda other: other.used_at))

    async def _unload(self, model: ServedModel) -> None:
        model.loaded = False
        await self._close(model)
        log.info("model unloaded", model=model.name)

    async def _close(self, model: ServedModel) -> None:
        try:
            await model.executor.close()
        except ThreadLost:
            raise
        except Exception:
            log.exception("model not closed as it should be", model=model.name)  # an adapter's mistake

    def _others(self, model: ServedModel) -> list[ServedModel]:
        return [other for other in self._models if other.loaded and other is not model]

    async def _settled(self) -> int:
        """Return the bytes in use, without those that the allocator only keeps. One model alone needs no measuring."""
        if len(self._models) == 1:
            return 0
        await self._thread.call(give_back_memory)
        return self._used()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _shown(size: int) -> int:
    return round(size / _MEGABYTE)
