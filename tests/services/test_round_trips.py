"""Requests wait for few round trips to Redis. Redis itself counts them: it reads once a round trip."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from asgi_lifespan import LifespanManager
from redis.asyncio import Redis

from services.api.app import create_app
from services.common.catalogue.catalogue import Catalogue
from tests.api.conftest import catalogue, embedded_settings
from tests.support.servers.stack import Stack

__all__ = ["catalogue"]

pytestmark = [pytest.mark.anyio, pytest.mark.services]

TIMES = 20
LOOKS = 5  # at all queues, about one a second, whatever is asked


@pytest.fixture
async def gateway(stack: Stack, tmp_path: Path, catalogue: Catalogue) -> AsyncIterator[httpx2.AsyncClient]:
    settings = embedded_settings(tmp_path, statuses_url=stack.statuses_url, sweep_seconds=3600)
    async with LifespanManager(create_app(settings, catalogue), startup_timeout=30, shutdown_timeout=30) as manager:
        transport = httpx2.ASGITransport(manager.app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://studio.test") as client:
            yield client


@pytest.fixture
async def redis(stack: Stack) -> AsyncIterator[Redis]:
    client = Redis.from_url(stack.statuses_url)
    yield client
    await client.aclose()


async def round_trips(redis: Redis) -> int:
    """Return the round trips so far, without the one that asks."""
    return int((await redis.info("stats"))["total_reads_processed"]) - 1


async def submitted(gateway: httpx2.AsyncClient) -> str:
    response = await gateway.post("/v1/jobs", json={"prompt": "red mug"})
    assert response.status_code == 202
    return f"/v1/jobs/{response.json()['id']}"


async def test_poll(gateway: httpx2.AsyncClient, redis: Redis) -> None:
    """A poll of a queued job, with its position, takes one round trip."""
    path = await submitted(gateway)
    while (await gateway.get(path)).json()["queue"] is None:
        pass
    before = await round_trips(redis)

    jobs = [(await gateway.get(path)).json() for _ in range(TIMES)]

    assert TIMES <= await round_trips(redis) - before <= TIMES + LOOKS
    assert all(job["queue"] for job in jobs)


async def test_submit(gateway: httpx2.AsyncClient, redis: Redis) -> None:
    """A submit takes two round trips: the record before the message, and the mark that the message is queued."""
    await submitted(gateway)
    before = await round_trips(redis)

    for _ in range(TIMES):
        await submitted(gateway)

    assert 2 * TIMES <= await round_trips(redis) - before <= 2 * TIMES + LOOKS


async def test_many_at_once(gateway: httpx2.AsyncClient, redis: Redis) -> None:
    """Concurrent polls share round trips, and each gets its own job."""
    paths = [await submitted(gateway) for _ in range(TIMES)]
    before = await round_trips(redis)

    answers = await asyncio.gather(*(gateway.get(path) for path in paths))

    assert await round_trips(redis) - before < TIMES
    assert [f"/v1/jobs/{answer.json()['id']}" for answer in answers] == paths
