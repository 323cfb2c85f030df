"""The cache as a worker uses it: a call that fails is given up, because no job may wait for the cache."""

from collections.abc import Awaitable, Sequence

import structlog

from services.common.cache import Cache
from services.common.errors import BackendUnavailable

log = structlog.get_logger(__name__)


class BestEffort:
    """Wraps a cache. Its methods raise nothing; an outage is logged once."""

    def __init__(self, cache: Cache) -> None:
        self._cache = cache
        self._failing = False

    async def put(self, key: str, value: bytes, seconds: float) -> bool:
        """Return True if the value is stored."""
        return await self._done(self._cache.put(key, value, seconds))

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete keys; those that stay expire."""
        await self._done(self._cache.delete(keys))

    async def _done(self, call: Awaitable[None]) -> bool:
        try:
            await call
        except BackendUnavailable as exc:
            if not self._failing:
                log.warning("cache does not answer, doing without", reason=str(exc))
            self._failing = True
            return False
        self._failing = False
        return True
