"""Fixtures with both backends of each port. `open_*` opens another on the same data, as a second process would."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest
from pydantic import SecretStr
from redis import Redis

from services.common.brokers.rabbitmq import open_rabbitmq_broker
from services.common.brokers.sqlite import open_sqlite_broker
from services.common.cache import Cache
from services.common.caches.sqlite import open_sqlite_cache
from services.common.objects.filesystem import open_filesystem_object_store
from services.common.objects.s3 import open_s3_object_store
from services.common.ports import Broker, Limits, ObjectStore, StatusStore
from services.common.statuses.sqlite import open_sqlite_status_store
from tests.support.servers.redis_links import open_cache_at, open_statuses_at
from tests.support.servers.stack import Stack

OpenBroker = Callable[[], AbstractAsyncContextManager[Broker]]
OpenStatuses = Callable[[Limits], AbstractAsyncContextManager[StatusStore]]
OpenCache = Callable[[], AbstractAsyncContextManager[Cache]]


@pytest.fixture(params=["sqlite", pytest.param("rabbitmq", marks=pytest.mark.services)])
def open_broker(request: pytest.FixtureRequest, tmp_path: Path) -> OpenBroker:
    if request.param == "rabbitmq":
        stack: Stack = request.getfixturevalue("stack")
        return partial(open_rabbitmq_broker, stack.broker_url)
    return partial(open_sqlite_broker, tmp_path / "studio.db", queue_limit=1000, lease_seconds=10)


@pytest.fixture
async def broker(open_broker: OpenBroker) -> AsyncIterator[Broker]:
    async with open_broker() as opened:
        yield opened


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.services)])
def open_statuses(request: pytest.FixtureRequest, tmp_path: Path) -> OpenStatuses:
    if request.param == "redis":
        return partial(open_statuses_at, _empty_redis(request))
    return partial(open_sqlite_status_store, tmp_path / "studio.db")


@pytest.fixture
async def statuses(open_statuses: OpenStatuses) -> AsyncIterator[StatusStore]:
    async with open_statuses(Limits()) as opened:
        yield opened


@pytest.fixture(params=["filesystem", pytest.param("s3", marks=pytest.mark.services)])
async def objects(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[ObjectStore]:
    if request.param == "s3":
        stack: Stack = request.getfixturevalue("stack")
        access_key, secret_key = SecretStr(stack.s3_access_key), SecretStr(stack.s3_secret_key)
        opening: AbstractAsyncContextManager[ObjectStore] = open_s3_object_store(
            stack.objects_url, access_key=access_key, secret_key=secret_key
        )
    else:
        opening = open_filesystem_object_store(tmp_path / "objects")
    async with opening as opened:
        yield opened


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.services)])
def open_cache(request: pytest.FixtureRequest, tmp_path: Path) -> OpenCache:
    if request.param == "redis":
        return partial(open_cache_at, _empty_redis(request))
    return partial(open_sqlite_cache, tmp_path / "studio.cache.db")


@pytest.fixture
async def cache(open_cache: OpenCache) -> AsyncIterator[Cache]:
    async with open_cache() as opened:
        yield opened


def _empty_redis(request: pytest.FixtureRequest) -> str:
    stack: Stack = request.getfixturevalue("stack")
    with Redis.from_url(stack.statuses_url) as client:
        client.flushdb()
    return stack.statuses_url
