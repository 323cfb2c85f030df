"""The distributed cache: in the Redis of the status store, over the same link.

Keys: `studio:cache:<key>`, and `studio:folder:<folder>` with the names of what is in it, so that a folder is listed
without searching all of Redis.
"""

from collections.abc import Sequence
from typing import Final

from services.common.redis.link import RedisLink, Script

CALL_SECONDS: Final = 0.5  # data that may be lost is not waited for
VALUE: Final = "studio:cache:"
FOLDER: Final = "studio:folder:"

# The folder lasts as long as what lasts longest in it. Names of values that have gone leave it here, a few at a time:
# a listing writes nothing, so that a server that takes no writes can still be read.
_PUT: Final = Script("""
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
for _, key in ipairs(redis.call('SRANDMEMBER', KEYS[2], 4)) do
  if redis.call('EXISTS', key) == 0 then
    redis.call('SREM', KEYS[2], key)
  end
end
redis.call('SADD', KEYS[2], KEYS[1])
if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[2], ARGV[2])
end
""")
_LIST: Final = Script("""
local found = {}
for _, key in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local value = redis.call('GET', key)
  if value then
    found[#found + 1] = key
    found[#found + 1] = value
  end
end
return found
""")


class RedisCache:
    """See the port `Cache`."""

    def __init__(self, link: RedisLink) -> None:
        self._link = link

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        keys = (VALUE + key, FOLDER + key.rpartition("/")[0])
        await self._link.run("cache", CALL_SECONDS, _PUT, keys, (value, max(int(seconds * 1000), 1)))

    async def get(self, key: str) -> bytes | None:
        found: bytes | None = await self._link.call("cache", CALL_SECONDS, "GET", VALUE + key)
        return found

    async def list(self, folder: str) -> dict[str, bytes]:
        flat: list[bytes] = await self._link.run("cache", CALL_SECONDS, _LIST, (FOLDER + folder,), ())
        names = (name.decode().removeprefix(VALUE) for name in flat[::2])
        return dict(zip(names, flat[1::2], strict=True))

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete the values; the folder's index drops their names later."""
        if keys:
            await self._link.call("cache", CALL_SECONDS, "DEL", *(VALUE + key for key in keys))
