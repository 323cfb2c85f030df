"""A server that goes away and comes back, with jobs queued and running: nothing is lost, nothing is done twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.stack import Stack
from tests.system import System, running_system

pytestmark = pytest.mark.services


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    with redis.Redis.from_url(stack.statuses_url) as client:
        client.flushall()
    with running_system(tmp_path, stack.environment()) as running:
        yield running


def test_broker_killed_with_jobs_queued(system: System, stack: Stack) -> None:
    """Jobs accepted outlive a kill -9 of the broker with nobody connected but the gateway, which reconnects."""
    system.start_gateway()
    stack.rabbitmq.sync()
    jobs = [system.submit(f"product {number}") for number in range(5)]
    stack.rabbitmq.kill()
    refused = system.client.post("/v1/jobs", json={"prompt": "while it is down"})
    stack.rabbitmq.start()
    system.start_worker()

    assert (refused.status_code, "Retry-After" in refused.headers) == (503, True)
    assert {system.wait(job["id"])["state"] for job in jobs} == {"succeeded"}
    assert system.pictures_painted() == {job["id"]: 1 for job in jobs}


def test_broker_killed_with_a_job_running(system: System, stack: Stack) -> None:
    """The running job goes on, is done once although it is delivered again, and its worker takes the next one."""
    system.start_gateway()
    system.start_worker()
    stack.rabbitmq.sync()
    running, following = system.submit("SLOW vase"), system.submit("next", steps=2)
    system.wait_for(running["id"], lambda job: job["state"] == "running")
    stack.rabbitmq.kill()
    stack.rabbitmq.start()

    assert system.wait(running["id"])["state"] == "succeeded"
    assert system.wait(following["id"])["state"] == "succeeded"
    assert system.pictures_painted() == {running["id"]: 1, following["id"]: 1}


def test_storage_away_while_a_job_runs(system: System, stack: Stack) -> None:
    """The result waits for the object store with its bytes in hand; the model is not called again."""
    system.start_gateway()
    system.start_worker()
    job = system.submit("SLOW lamp")
    system.wait_for(job["id"], lambda now: now["state"] == "running")
    stack.s3.stop()
    try:
        saving = system.wait_for(job["id"], lambda now: bool(now["progress"]) and now["progress"]["phase"] == "saving")
    finally:
        stack.s3.start()

    assert saving["state"] == "running"
    finished = system.wait(job["id"])
    assert finished["state"] == "succeeded"
    assert system.client.get(finished["artifacts"][0]["url"]).status_code == 200
    assert system.pictures_painted() == {job["id"]: 1}


def test_status_store_hung_while_a_job_runs(system: System, stack: Stack) -> None:
    """A begun job goes on while Redis hangs and is recorded afterwards; the gateway says 503 within its deadline."""
    system.start_gateway()
    system.start_worker()
    job = system.submit("SLOW teapot")
    system.wait_for(job["id"], lambda now: now["state"] == "running")
    stack.redis.pause()
    try:
        answer = system.client.get(f"/v1/jobs/{job['id']}")
        live = system.client.get("/livez")
    finally:
        stack.redis.resume()

    assert (answer.status_code, answer.headers["Content-Type"]) == (503, "application/problem+json")
    assert answer.elapsed.total_seconds() < 3
    assert live.status_code == 200
    assert system.wait(job["id"])["state"] == "succeeded"
    assert system.pictures_painted() == {job["id"]: 1}
