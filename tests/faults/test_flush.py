"""A flush of Redis at any moment forgets history, and no job."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from pydantic import SecretStr

from services.common.brokers.rabbitmq import open_rabbitmq_broker
from services.common.objects.s3 import open_s3_object_store
from services.common.schemas import JobMessage, Manifest
from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

pytestmark = pytest.mark.services


def _flush(stack: Stack) -> None:
    with redis.Redis.from_url(stack.statuses_url) as client:
        client.flushall()


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    _flush(stack)
    with running_system(tmp_path, stack.environment()) as running:
        yield running


def test_after_success(system: System, stack: Stack) -> None:
    """A finished job is still answered as succeeded, from its manifest and with its image, and does not run again."""
    system.start_gateway()
    system.start_worker()
    before = system.wait(system.submit("red mug")["id"])
    _flush(stack)

    after = system.client.get(f"/v1/jobs/{before['id']}").json()
    assert (after["state"], after["artifacts"]) == ("succeeded", before["artifacts"])
    assert system.client.get(after["artifacts"][0]["url"]).status_code == 200
    assert system.wait(system.submit("another")["id"])["state"] == "succeeded"
    assert system.generation_counts()[before["id"]] == 1


def test_while_queued(system: System, stack: Stack) -> None:
    """Queued jobs are answered 503 status-rebuilding for a while, and succeed all the same."""
    system.start_gateway()
    job_ids = [system.submit(f"product {number}")["id"] for number in range(5)]
    _flush(stack)
    rebuilding = system.client.get(f"/v1/jobs/{job_ids[0]}")
    system.start_worker()

    assert (rebuilding.status_code, rebuilding.json()["type"]) == (503, "/problems/status-rebuilding")
    assert {system.wait(job_id)["state"] for job_id in job_ids} == {"succeeded"}
    assert system.generation_counts() == dict.fromkeys(job_ids, 1)


def test_while_running(system: System, stack: Stack) -> None:
    """The worker recreates the record of its running job; that job and the next one run once each."""
    system.start_gateway()
    system.start_worker()
    running, following = system.submit("SLOW vase"), system.submit("next", steps=2)
    system.wait_for(running["id"], lambda job: job["state"] == "running")
    _flush(stack)

    assert system.wait(running["id"])["state"] == "succeeded"
    assert system.wait(following["id"])["state"] == "succeeded"
    assert system.generation_counts() == {running["id"]: 1, following["id"]: 1}


def test_a_duplicate_after_success(system: System, stack: Stack) -> None:
    """A message of a finished job that arrives again after a flush finds the manifest, and nothing runs."""
    system.start_gateway()
    system.start_worker()
    job = system.wait(system.submit("only once")["id"])
    manifest = Manifest.model_validate_json(_object(stack, f"jobs/{job['id']}/manifest.json"))
    _flush(stack)
    asyncio.run(_publish(stack.broker_url, manifest.record.message))

    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"
    assert system.client.get(f"/v1/jobs/{job['id']}").json()["state"] == "succeeded"
    assert system.generation_counts()[job["id"]] == 1


def _object(stack: Stack, key: str) -> bytes:
    async def read() -> bytes:
        keys = SecretStr(stack.s3_access_key), SecretStr(stack.s3_secret_key)
        store = open_s3_object_store(stack.objects_url, access_key=keys[0], secret_key=keys[1], public_endpoint=None)
        async with store as objects:
            return b"".join([chunk async for chunk in objects.get(key)])

    return asyncio.run(read())


async def _publish(broker_url: str, message: JobMessage) -> None:
    async with open_rabbitmq_broker(broker_url) as broker:
        await broker.publish(message)
