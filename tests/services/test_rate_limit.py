"""Gateways share rates by Redis: one count, and no client waits or is refused when Redis does not answer."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack

import pytest
from limits import parse
from redis import Redis

from services.api.http.rate_limit import Allowance, RateLimit, open_rate_limit
from services.common.settings import Settings
from tests.support.servers.stack import Stack

pytestmark = [pytest.mark.anyio, pytest.mark.services]

RATE = parse("5/hour")


@pytest.fixture
def client(stack: Stack) -> Iterator[Redis]:
    if (left := 3600 - time.time() % 3600) < 20:
        time.sleep(left)
    with Redis.from_url(stack.statuses_url) as opened:
        opened.flushdb()
        yield opened


@pytest.fixture
async def gateways(client: Redis, stack: Stack) -> AsyncIterator[list[RateLimit]]:
    async with AsyncExitStack() as opening:
        settings = Settings(statuses_url=stack.statuses_url)
        opened = [await opening.enter_async_context(open_rate_limit(RATE, settings)) for _ in range(2)]
        yield [each for each in opened if each]


async def _used(limit: RateLimit, party: str) -> int:
    allowance = await limit.count(party)
    assert isinstance(allowance, Allowance)
    return allowance.used


async def test_gateways_share_one_count(gateways: list[RateLimit], client: Redis) -> None:
    """Two gateways share a party's count, at one round trip, and it expires in time."""
    one, other = gateways
    await _used(one, "key:alice")
    before = client.info("stats")["total_commands_processed"]
    counts = [await _used(each, "key:alice") for each in (other, one, other)]
    commands = client.info("stats")["total_commands_processed"] - before

    assert counts == [2, 3, 4]
    assert await _used(one, "key:bob") == 1
    # One script each, with its two commands inside, and one connection made by `other`; INFO counts itself.
    assert commands <= 3 * 3 + 6
    keys = client.keys("studio:rate*")
    assert isinstance(keys, list)
    assert len(keys) == 2
    assert all(0 < int(str(client.ttl(key))) <= 3600 for key in keys)


@pytest.mark.parametrize("how", ["hung", "killed"])
async def test_nobody_is_refused_for_want_of_redis(gateways: list[RateLimit], stack: Stack, how: str) -> None:
    """With Redis hung or gone a submit goes on uncounted, after a moment; once it is back it is counted again."""
    limit = gateways[0]
    await _used(limit, "key:alice")
    if how == "hung":
        stack.redis.pause()
    else:
        stack.redis.kill()
    try:
        started = time.monotonic()
        assert [await limit.count("key:alice") for _ in range(2)] == [None, None]
        assert time.monotonic() - started < 1.5
    finally:
        if how == "hung":
            stack.redis.resume()
        else:
            stack.redis.start()

    assert await _used(limit, "key:alice") >= 1
