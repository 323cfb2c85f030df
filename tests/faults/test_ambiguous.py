"""An unconfirmed publish: the message may be in the queue, or not."""

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
from tests.faults.backends import ScenarioBackends, proxied_stack
from tests.faults.toxics import Latency
from tests.support.polling import poll
from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

pytestmark = pytest.mark.services

# Longer than one try of a publish waits, and short enough for the queue's length to be read.
SLOW = Latency(1.4)


@pytest.fixture
def backends(stack: Stack) -> Iterator[ScenarioBackends]:
    with proxied_stack(stack) as opened:
        opened.clear()
        yield opened


@pytest.fixture
def system(backends: ScenarioBackends, tmp_path: Path) -> Iterator[System]:
    quiet = {"STUDIO_SWEEP_SECONDS": "3600"}  # no sweeper uses the broker meanwhile
    with running_system(tmp_path, {**backends.environment(), **quiet}) as running:
        yield running


def test_published_again_under_the_same_id(system: System, backends: ScenarioBackends) -> None:
    """A message whose confirm comes too late is published again under its id, and the job runs once."""
    system.start_gateway()
    warm = system.submit("opens the connection")
    with ThreadPoolExecutor(1) as pool:
        with backends.proxies["broker"].toxic(SLOW, "downstream"):
            answer = pool.submit(system.submit, "confirmed too late", key="late")
            _until_queued(system, backends, 2)  # its confirm is on the way, and will be late
        job = answer.result()
    bodies = asyncio.run(_bodies(backends, system.model))
    twins = [JobMessage.decode(body) for body in bodies if JobMessage.decode(body).job_id == job["id"]]
    assert (len(twins), len({twin.message_id for twin in twins})) == (2, 1)

    system.start_worker()
    assert {system.wait(each["id"])["state"] for each in (warm, job)} == {"succeeded"}
    assert system.generation_counts() == {warm["id"]: 1, job["id"]: 1}


def test_never_confirmed(system: System, backends: ScenarioBackends) -> None:
    """An unconfirmed job is answered 503 and never runs, even if its messages arrived; its key can be used again."""
    system.start_gateway()
    system.submit("opens the connection")
    with backends.proxies["broker"].toxic(SLOW, "downstream"):
        began = time.monotonic()
        answer = system.client.post("/v1/jobs", json={"prompt": "mug"}, headers={"Idempotency-Key": "again"})
        seconds = time.monotonic() - began
    assert (answer.status_code, answer.json()["code"], "Retry-After" in answer.headers) == (503, "not-accepted", True)
    assert seconds < 5
    _until_queued(system, backends, 3)
    again = system.submit("mug", key="again")
    system.start_worker()

    assert system.wait(again["id"])["state"] == "succeeded"
    assert len(system.generation_counts()) == 2


def test_gateway_killed_before_it_disowns(system: System, backends: ScenarioBackends) -> None:
    """A job whose gateway died with an unconfirmed publish is accepted when the client repeats its request."""
    gateway = system.start_gateway(failpoint="gateway.unconfirmed")
    system.submit("opens the connection")
    with backends.proxies["broker"].toxic(SLOW, "downstream"), pytest.raises(httpx2.TransportError):
        system.submit("nobody knows", key="unknown")
    assert gateway.wait(60) < 0
    system.start_gateway()
    job = system.submit("nobody knows", key="unknown")
    system.start_worker()

    assert system.wait(job["id"])["state"] == "succeeded"
    assert system.generation_counts()[job["id"]] == 1


def _until_queued(system: System, backends: ScenarioBackends, count: int) -> None:
    poll(lambda: backends.depth(system) >= count, 10)


async def _bodies(backends: ScenarioBackends, model: str) -> list[bytes]:
    """Return the bodies of all messages in the queue, which stay there."""
    async with await aio_pika.connect(backends.servers.broker_url) as connection:
        channel = await connection.channel()
        queue = await channel.get_queue(queue_name(model), ensure=False)
        messages = []
        while (message := await queue.get(fail=False)) is not None:
            messages.append(message)
        return [message.body for message in messages]
