"""A publish that nobody confirms: the message may be in the queue, or not."""

import asyncio
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import aio_pika
import httpx2
import pytest

from services.common.brokers.amqp.topology import queue_name
from services.common.schemas import JobMessage
from tests.faults.backends import Ground, distributed_ground
from tests.faults.toxics import Latency
from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

pytestmark = pytest.mark.services

# Longer than one try of a publish waits, and so short that the queue can still be asked how long it is.
SLOW = Latency(1.4)


@pytest.fixture
def ground(stack: Stack) -> Iterator[Ground]:
    with distributed_ground(stack) as opened:
        opened.clear()
        yield opened


@pytest.fixture
def system(ground: Ground, tmp_path: Path) -> Iterator[System]:
    quiet = {"STUDIO_SWEEP_SECONDS": "3600"}  # nobody else asks the broker anything
    with running_system(tmp_path, {**ground.environment(), **quiet}) as running:
        yield running


def test_published_again_under_the_same_id(system: System, ground: Ground) -> None:
    """A confirm that comes too late has the message published once more under its id, and the job is done once."""
    system.start_gateway()
    warm = system.submit("opens the connection")
    with ThreadPoolExecutor(1) as pool:
        with ground.proxies["broker"].toxic(SLOW, "downstream"):
            answer = pool.submit(system.submit, "confirmed too late", key="late")
            _until_queued(system, ground, 2)  # its confirm is on its way, and will be late
        job = answer.result()
    bodies = asyncio.run(_bodies(ground, system.model))
    twins = [JobMessage.decode(body) for body in bodies if JobMessage.decode(body).job_id == job["id"]]
    assert (len(twins), len({twin.message_id for twin in twins})) == (2, 1)

    system.start_worker()
    assert {system.wait(each["id"])["state"] for each in (warm, job)} == {"succeeded"}
    assert system.pictures_painted() == {warm["id"]: 1, job["id"]: 1}


def test_never_confirmed(system: System, ground: Ground) -> None:
    """A job nobody confirmed is 503 and never made, also where its messages did arrive; its key is free again."""
    system.start_gateway()
    system.submit("opens the connection")
    with ground.proxies["broker"].toxic(SLOW, "downstream"):
        began = time.monotonic()
        answer = system.client.post("/v1/jobs", json={"prompt": "mug"}, headers={"Idempotency-Key": "again"})
        seconds = time.monotonic() - began
    assert (answer.status_code, answer.json()["code"], "Retry-After" in answer.headers) == (503, "not-accepted", True)
    assert seconds < 5
    _until_queued(system, ground, 3)
    again = system.submit("mug", key="again")
    system.start_worker()

    assert system.wait(again["id"])["state"] == "succeeded"
    assert len(system.pictures_painted()) == 2


def test_gateway_killed_before_it_disowns(system: System, ground: Ground) -> None:
    """A gateway that dies with a publish unconfirmed leaves a job that is accepted when it is asked for again."""
    gateway = system.start_gateway(failpoint="gateway.unconfirmed")
    system.submit("opens the connection")
    with ground.proxies["broker"].toxic(SLOW, "downstream"), pytest.raises(httpx2.TransportError):
        system.submit("nobody knows", key="unknown")
    assert gateway.wait(60) < 0
    system.start_gateway()
    job = system.submit("nobody knows", key="unknown")
    system.start_worker()

    assert system.wait(job["id"])["state"] == "succeeded"
    assert system.pictures_painted()[job["id"]] == 1


def _until_queued(system: System, ground: Ground, count: int) -> None:
    deadline = time.monotonic() + 10
    while (depth := ground.depth(system)) < count:
        assert time.monotonic() < deadline, f"{depth} messages"


async def _bodies(ground: Ground, model: str) -> list[bytes]:
    """Of all messages in the queue, which stay there."""
    async with await aio_pika.connect(ground.servers.broker_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(queue_name(model), ensure=False)
        messages = []
        while (message := await queue.get(fail=False)) is not None:
            messages.append(message)
        return [message.body for message in messages]
