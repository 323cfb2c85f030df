"""Opens the backends that the URLs in the settings name, and closes them in reverse order."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from services.common.cache import Cache
from services.common.errors import BackendUnavailable
from services.common.network.addresses import local_path
from services.common.ports import Broker, Limits, ObjectStore, StatusStore
from services.common.settings import Settings

PING_SECONDS: Final = 2.0

Clock = Callable[[], float]


@dataclass(frozen=True)
class Backends:
    broker: Broker
    statuses: StatusStore
    objects: ObjectStore
    cache: Cache
    clock: Clock = time.time  # of the status store, in Unix seconds: gateways make ids and ends by it


async def ping_all(backends: Backends, *, publishing: bool = False) -> dict[str, str | None]:
    """Have broker, statuses and objects do what is asked of them, a write above all, in PING_SECONDS each.

    Return by name the reason why a backend is not ready, None for one that is. Only gateways need `publishing`.
    """
    pings: dict[str, Awaitable[object]] = {
        "broker": backends.broker.ping(publishing=publishing),
        "statuses": backends.statuses.ping(),
        "objects": backends.objects.ping(),
    }
    return dict(zip(pings, await asyncio.gather(*map(_fault, pings.values())), strict=True))


async def ping(backends: Backends, name: str) -> None:
    """Ask one backend by its name. Raises BackendUnavailable or TimeoutError; the cache is not asked."""
    pings = {"broker": backends.broker.ping, "statuses": backends.statuses.ping, "objects": backends.objects.ping}
    if name in pings:
        async with asyncio.timeout(PING_SECONDS):
            await pings[name]()


async def _fault(ping: Awaitable[object]) -> str | None:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await ping
    except (BackendUnavailable, TimeoutError) as exc:
        return str(exc) or "no answer in time"
    return None


@asynccontextmanager
async def open_backends(settings: Settings) -> AsyncIterator[Backends]:
    """Open all four. Raises BackendUnavailable when one does not answer.

    Each client library is imported only when its URL asks for it.
    """
    async with AsyncExitStack() as stack:
        objects = await stack.enter_async_context(_objects(settings))
        statuses, cache, clock = await stack.enter_async_context(_statuses_and_cache(settings))
        broker = await stack.enter_async_context(_broker(settings))
        yield Backends(broker, statuses, objects, cache, clock)


@asynccontextmanager
async def open_cache(settings: Settings) -> AsyncIterator[Cache]:
    """Open the cache, which lies beside the status store. Raises as `open_backends` does."""
    url = settings.statuses_url
    if _is_embedded(url):
        from services.common.caches.sqlite import open_sqlite_cache

        async with open_sqlite_cache(local_path(url).with_suffix(".cache.db")) as cache:
            yield cache
    else:
        from services.common.caches.redis import RedisCache
        from services.common.redis.link import open_redis_link

        async with open_redis_link(url) as link:
            yield RedisCache(link)


def _broker(settings: Settings) -> AbstractAsyncContextManager[Broker]:
    url = settings.broker_url
    if _is_embedded(url):
        from services.common.brokers.sqlite import open_sqlite_broker

        return open_sqlite_broker(
            local_path(url), queue_limit=settings.queue_limit, lease_seconds=settings.broker_lease_seconds
        )
    from services.common.brokers.rabbitmq import open_rabbitmq_broker

    return open_rabbitmq_broker(url)


@asynccontextmanager
async def _statuses_and_cache(settings: Settings) -> AsyncIterator[tuple[StatusStore, Cache, Clock]]:
    """Open both, with the clock of the records; in Redis they share a link, so that one round trip asks both."""
    url = settings.statuses_url
    limits = Limits(settings.retention_seconds, settings.status_lease_seconds, settings.max_attempts)
    if _is_embedded(url):
        from services.common.statuses.sqlite import open_sqlite_status_store

        async with open_sqlite_status_store(local_path(url), limits) as statuses, open_cache(settings) as cache:
            yield statuses, cache, time.time
    else:
        from services.common.caches.redis import RedisCache
        from services.common.redis.link import open_redis_link
        from services.common.statuses.redis import open_redis_status_store

        async with open_redis_link(url) as link, open_redis_status_store(link, limits) as statuses:
            yield statuses, RedisCache(link), statuses.clock


def _objects(settings: Settings) -> AbstractAsyncContextManager[ObjectStore]:
    url = settings.objects_url
    if _is_embedded(url):
        from services.common.objects.filesystem import open_filesystem_object_store

        return open_filesystem_object_store(local_path(url))
    from services.common.objects.s3 import open_s3_object_store

    return open_s3_object_store(
        url,
        access_key=settings.s3_access_key,
        secret_key=settings.s3_secret_key,
        public_endpoint=settings.s3_public_endpoint,
    )


def _is_embedded(url: str) -> bool:
    """Return whether the URL is of a file or a folder; the settings let only one other kind pass in each place."""
    return urlsplit(url).scheme in ("sqlite", "file")
