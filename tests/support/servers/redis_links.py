"""Opens the status store and the cache of Redis, each over its own link, as separate processes do."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from services.common.caches.redis import RedisCache
from services.common.ports import Limits
from services.common.redis.link import open_redis_link
from services.common.statuses.redis import RedisStatusStore, open_redis_status_store


@asynccontextmanager
async def open_statuses_at(url: str, limits: Limits) -> AsyncIterator[RedisStatusStore]:
    """Open a status store over a new link. Raises as `open_redis_status_store`."""
    async with open_redis_link(url) as link, open_redis_status_store(link, limits) as statuses:
        yield statuses


@asynccontextmanager
async def open_cache_at(url: str) -> AsyncIterator[RedisCache]:
    async with open_redis_link(url) as link:
        yield RedisCache(link)
