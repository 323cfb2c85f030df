"""Opens the backends that the URLs in the settings name, and closes them in reverse order."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from services.common.cache import Cache
from services.common.errors import BackendUnavailable
from services.common.ports import Broker, Limits, ObjectStore, StatusStore
from services.common.settings import Settings

PING_SECONDS: Final = 2.0


@dataclass(frozen=True)
class Backends:
    broker: Broker
    statuses: StatusStore
    objects: ObjectStore
    cache: Cache


async def ping_all(backends: Backends) -> dict[str, str | None]:
    """Ask broker, statuses and objects for a sign of life, PING_SECONDS each.

    Return by name the reason why a backend is not ready, None for one that is.
    """
    pings: dict[str, Awaitable[object]] = {
        "broker": backends.broker.ping(),
        "statuses": backends.statuses.list(limit=1),
        "objects": backends.objects.ping(),
    }
    return dict(zip(pings, await asyncio.gather(*map(_fault, pings.values())), strict=True))


async def _fault(ping: Awaitable[object]) -> str | None:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await ping
    except (BackendUnavailable, TimeoutError) as exc:
        return str(exc) or "no answer in time"
    return None


@asynccontextmanager
async def open_backends(settings: Settings) -> AsyncIterator[Backends]:
    """Open all four. Raises ValueError for an unknown URL scheme, BackendUnavailable when one does not answer.

    Each client library is imported only when its URL asks for it.
    """
    async with AsyncExitStack() as stack:
        objects = await stack.enter_async_context(_objects(settings))
        statuses, cache = await stack.enter_async_context(_statuses_and_cache(settings))
        broker = await stack.enter_async_context(_broker(settings))
        yield Backends(broker, statuses, objects, cache)


@asynccontextmanager
async def open_cache(settings: Settings) -> AsyncIterator[Cache]:
    """Open the cache, which lies beside the status store. Raises as `open_backends` does."""
    url = settings.statuses_url
    match urlsplit(url).scheme:
        case "sqlite":
            from services.common.caches.sqlite import open_sqlite_cache

            async with open_sqlite_cache(_path(url).with_suffix(".cache.db")) as cache:
                yield cache
        case "redis" | "rediss":
            from services.common.caches.redis import RedisCache
            from services.common.redis import open_redis_link

            async with open_redis_link(url) as link:
                yield RedisCache(link)
        case _:
            raise _unknown_statuses(url)


def _broker(settings: Settings) -> AbstractAsyncContextManager[Broker]:
    url = settings.broker_url
    match urlsplit(url).scheme:
        case "sqlite":
            from services.common.brokers.sqlite import open_sqlite_broker

            return open_sqlite_broker(
                _path(url), queue_limit=settings.queue_limit, lease_seconds=settings.broker_lease_seconds
            )
        case "amqp" | "amqps":
            from services.common.brokers.rabbitmq import open_rabbitmq_broker

            return open_rabbitmq_broker(url)
    raise ValueError(f"STUDIO_BROKER_URL: {_shown(url)} is neither sqlite:///FILE nor amqp://USER:PASSWORD@HOST/VHOST")


@asynccontextmanager
async def _statuses_and_cache(settings: Settings) -> AsyncIterator[tuple[StatusStore, Cache]]:
    """Open both; in Redis they share a link, so that one round trip asks both."""
    url = settings.statuses_url
    limits = Limits(settings.retention_seconds, settings.status_lease_seconds, settings.max_attempts)
    match urlsplit(url).scheme:
        case "sqlite":
            from services.common.statuses.sqlite import open_sqlite_status_store

            async with open_sqlite_status_store(_path(url), limits) as statuses, open_cache(settings) as cache:
                yield statuses, cache
        case "redis" | "rediss":
            from services.common.caches.redis import RedisCache
            from services.common.redis import open_redis_link
            from services.common.statuses.redis import open_redis_status_store

            async with open_redis_link(url) as link, open_redis_status_store(link, limits) as statuses:
                yield statuses, RedisCache(link)
        case _:
            raise _unknown_statuses(url)


def _unknown_statuses(url: str) -> ValueError:
    return ValueError(f"STUDIO_STATUSES_URL: {_shown(url)} is neither sqlite:///FILE nor redis://HOST:PORT/DB")


def _objects(settings: Settings) -> AbstractAsyncContextManager[ObjectStore]:
    url = settings.objects_url
    match urlsplit(url).scheme:
        case "file":
            from services.common.objects.filesystem import open_filesystem_object_store

            return open_filesystem_object_store(_path(url))
        case "s3":
            from services.common.objects.s3 import open_s3_object_store

            return open_s3_object_store(
                url,
                access_key=settings.s3_access_key,
                secret_key=settings.s3_secret_key,
                public_endpoint=settings.s3_public_endpoint,
            )
    raise ValueError(f"STUDIO_OBJECTS_URL: {_shown(url)} is neither file:///FOLDER nor s3://BUCKET?endpoint=URL")


def _shown(url: str) -> str:
    """Return the URL without its password."""
    before, at, after = url.rpartition("@")
    scheme, separator, _ = before.partition("://")
    return repr(f"{scheme if separator else ''}{separator}***@{after}" if at else url)


def _path(url: str) -> Path:
    """Return the path of `sqlite:///relative.db` or `sqlite:////absolute.db`, as SQLAlchemy spells them."""
    return Path(urlsplit(url).path.removeprefix("/"))
