"""Every cache, embedded or distributed, keeps its promises while it keeps a value."""

import asyncio

import pytest

from services.common.cache import Cache
from tests.contracts.conftest import OpenCache

pytestmark = pytest.mark.anyio

BYTES = bytes(range(256))


async def test_value_is_read_as_put(cache: Cache) -> None:
    """Any bytes come back as they were put, the newest in place of those before, and an unknown key is nothing."""
    await cache.put("previews/a/0", b"", 60)
    assert await cache.get("previews/a/0") == b""
    await cache.put("previews/a/0", BYTES, 60)
    assert await cache.get("previews/a/0") == BYTES
    assert await cache.get("previews/a/1") is None


async def test_folder_lists_what_is_in_it(cache: Cache) -> None:
    """A folder lists its own values by their whole keys, and nothing of folders in it or with names like it."""
    found = {"workers/a": b"1", "workers/b": BYTES}
    for key, value in {**found, "workers/c/d": b"2", "workers2/a": b"3", "work/a": b"4"}.items():
        await cache.put(key, value, 60)
    assert await cache.list("workers") == found
    assert await cache.list("nothing") == {}


async def test_value_goes_with_its_time(cache: Cache) -> None:
    """When its time has passed a value is gone, from its folder as well, and those with a longer time stay."""
    await cache.put("workers/long", b"1", 60)
    await cache.put("workers/short", b"2", 0.05)
    async with asyncio.timeout(10):
        while await cache.get("workers/short") is not None:
            await asyncio.sleep(0.02)
    assert await cache.list("workers") == {"workers/long": b"1"}


async def test_putting_again_gives_new_time(cache: Cache) -> None:
    """A value put again has its whole time again."""
    await cache.put("workers/a", b"1", 0.3)
    await cache.put("workers/a", b"2", 60)
    await asyncio.sleep(0.4)
    assert await cache.list("workers") == {"workers/a": b"2"}


async def test_deleted_value_is_gone(cache: Cache) -> None:
    """A deleted value is gone from its folder as well; deleting it again, or nothing, is no error."""
    await cache.put("previews/a/0", b"1", 60)
    await cache.put("previews/a/1", b"2", 60)
    for _ in range(2):
        await cache.delete(["previews/a/0", "previews/a/7"])
    await cache.delete([])
    assert await cache.list("previews/a") == {"previews/a/1": b"2"}


async def test_other_processes_see_it(cache: Cache, open_cache: OpenCache) -> None:
    """A value that one process puts can be read, listed and deleted by another."""
    await cache.put("workers/a", b"1", 60)
    async with open_cache() as other:
        assert await other.list("workers") == {"workers/a": b"1"}
        await other.delete(["workers/a"])
    assert await cache.get("workers/a") is None
