"""A worker that RabbitMQ will never serve ends, with the command that mends it, and is not started again."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest
import redis

from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

pytestmark = pytest.mark.services


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    with redis.Redis.from_url(stack.statuses_url) as client:
        client.flushall()
    with running_system(tmp_path, stack.environment()) as running:
        yield running


async def _declare(url: str, queue: str) -> None:
    async with await aio_pika.connect(url) as connection:
        await (await connection.channel()).declare_queue(queue, durable=True)


def test_queue_declared_otherwise(system: System, stack: Stack) -> None:
    """Where a queue exists with other arguments, worker and gateway leave and name the command."""
    queue = f"studio.jobs.{system.model}"
    asyncio.run(_declare(stack.broker_url, queue))
    try:
        assert system.start("worker").wait(60) == 78
        assert system.start("api").wait(60) == 3
        assert f"rabbitmqctl delete_queue -p / {queue}" in system.log()
    finally:
        stack.rabbitmq.ctl("delete_queue", queue)


@pytest.mark.parametrize(("was", "now"), [("studio:studio@", "studio:wrong@"), ("/%2F", "/nowhere")])
def test_wrong_address(system: System, stack: Stack, was: str, now: str) -> None:
    """With a wrong password or virtual host the worker leaves with 78, and its log has no password."""
    assert system.start("worker", broker_url=stack.broker_url.replace(was, now)).wait(60) == 78
    assert "rabbitmqctl" in system.log()
    assert "wrong@" not in system.log()


def test_wrong_keys(system: System) -> None:
    """With keys that the object store does not know the worker leaves with 78 and names the settings."""
    assert system.start("worker", s3_secret_key="other").wait(60) == 78
    assert "STUDIO_S3_SECRET_KEY" in system.log()
