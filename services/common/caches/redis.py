"""The distributed cache: in the Redis of the status store, over connections of its own.

Keys: `studio:cache:<key>`, and `studio:folder:<folder>` with the names of what is in it, so that a folder is listed
without searching all of Redis.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis

from services.common.redis import answering, open_redis

CALL_SECONDS: Final = 0.5  # what may be lost at any moment is not waited for
CONNECTIONS: Final = 10
VALUE: Final = "studio:cache:"
FOLDER: Final = "studio:folder:"

# The folder lasts as long as what lasts longest in it.
_PUT: Final = """
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('SADD', KEYS[2], KEYS[1])
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
"""
_LIST: Final = """
local found = {}
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local value = redis.call('GET', key)
  if value then
    found[#found + 1] = key
    found[#found + 1] = value
  else
    redis.call('SREM', KEYS[1], key)
  end
end
return found
"""


class RedisCache:
    """See the port `Cache`. Opened by `open_redis_cache`."""

    def __init__(self, client: Redis) -> None:
        self._client = client
        self._put = client.register_script(_PUT)
        self._list = client.register_script(_LIST)

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        async with answering("cache", CALL_SECONDS):
            await self._put(
                keys=[VALUE + key, FOLDER + key.rpartition("/")[0]], args=[value, max(int(seconds * 1000), 1)]
            )

    async def get(self, key: str) -> bytes | None:
        async with answering("cache", CALL_SECONDS):
            value: Any = await self._client.get(VALUE + key)
        found: bytes | None = value
        return found

    async def list(self, folder: str) -> dict[str, bytes]:
        async with answering("cache", CALL_SECONDS):
            flat: list[Any] = await self._list(keys=[FOLDER + folder])
        names = (name.decode().removeprefix(VALUE) for name in flat[::2])
        return dict(zip(names, flat[1::2], strict=True))

    async def delete(self, keys: Sequence[str]) -> None:
        """The folder forgets the names when it is listed next, or with its time."""
        if keys:
            async with answering("cache", CALL_SECONDS):
                await self._client.delete(*(VALUE + key for key in keys))


@asynccontextmanager
async def open_redis_cache(url: str) -> AsyncIterator[RedisCache]:
    """Connects when it is first used."""
    async with open_redis(url, connections=CONNECTIONS, texts=False) as client:
        yield RedisCache(client)
