"""Messages that vanish while the model is busy: their jobs are published again, whatever the load."""

import itertools
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import httpx2
import pytest
import redis

from services.common.brokers.amqp.topology import queue_name
from services.common.brokers.lanes import lanes_of
from tests.faults.worker_faults import LEASE_LOST_SECONDS
from tests.support.polling import poll
from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

JOBS = 12
STEP_SECONDS = 0.4  # a call takes so long, and makes up to four jobs
LOAD_SECONDS = 0.2  # between two submits
FOUND_SECONDS = 25.0  # two sweeps of a second, the calls under way, the time in the queue, on a busy machine


@pytest.fixture(params=["embedded", pytest.param("distributed", marks=pytest.mark.services)])
def stack_of(request: pytest.FixtureRequest) -> Stack | None:
    return request.getfixturevalue("stack") if request.param == "distributed" else None


@pytest.fixture
def system(stack_of: Stack | None, tmp_path: Path) -> Iterator[System]:
    if stack_of is not None:
        with redis.Redis.from_url(stack_of.statuses_url) as client:
            client.flushall()
    backends = stack_of.environment() if stack_of else {}
    with running_system(tmp_path, backends, seconds=STEP_SECONDS) as running:
        yield running


@contextmanager
def steady_load(system: System) -> Iterator[list[str]]:
    """Submit a job of another client every LOAD_SECONDS, and yield the ids so far."""
    accepted: list[str] = []
    over = threading.Event()

    def submit() -> None:
        with httpx2.Client(base_url=system.url, timeout=15) as client:
            for number in itertools.count():
                body = {"prompt": f"load {number}", "seed": number}
                headers = {"X-Forwarded-For": f"203.0.{number % 200}.7"}
                accepted.append(client.post("/v1/jobs", json=body, headers=headers).json()["id"])
                if over.wait(LOAD_SECONDS):
                    break

    thread = threading.Thread(target=submit)
    thread.start()
    try:
        yield accepted
    finally:
        over.set()
        thread.join()


def lose_ready_messages(system: System, stack: Stack | None) -> None:
    """Delete the messages of the system's model that no worker holds."""
    if stack is not None:
        for lane in lanes_of(system.model):
            stack.rabbitmq.ctl("purge_queue", queue_name(lane))
        return
    with closing(sqlite3.connect(system.folder / "studio.db", timeout=10)) as connection, connection:
        connection.execute("DELETE FROM messages WHERE leased_until = 0")


def test_messages_lost_under_steady_load(system: System, stack_of: Stack | None) -> None:
    """Jobs of both lanes whose messages are gone succeed, each once, although the model never comes to rest."""
    system.start_gateway(trusted_proxies="127.0.0.1")
    lost = [system.submit(f"lost {number}")["id"] for number in range(JOBS)]  # of one client: most are bulk
    lose_ready_messages(system, stack_of)
    with steady_load(system) as load:
        system.start_worker()
        poll(lambda: len(load) > 1 / LOAD_SECONDS, FOUND_SECONDS)
        ended = [system.wait(job_id, FOUND_SECONDS) for job_id in lost]

    assert {job["state"] for job in ended} == {"succeeded"}
    assert {system.wait(job_id)["state"] for job_id in load} == {"succeeded"}
    assert set(system.generation_counts().values()) == {1}
    assert len(system.generation_counts()) == JOBS + len(load)


def test_jobs_in_the_hands_of_a_paused_worker(system: System, stack_of: Stack | None) -> None:
    """The jobs that a suspended worker began or holds are made by another one, long before its connection is lost."""
    system.start_gateway(trusted_proxies="127.0.0.1")
    paused = system.start_worker()
    held = [system.submit("SLOW vase"), *(system.submit(f"held {number}") for number in range(5))]
    system.wait_for(held[0]["id"], lambda job: job["state"] == "running")
    paused.send_signal(signal.SIGSTOP)
    try:
        with steady_load(system):
            system.start_worker()
            ended = [system.wait(job["id"], FOUND_SECONDS + LEASE_LOST_SECONDS) for job in held]
    finally:
        paused.send_signal(signal.SIGCONT)
    assert {job["state"] for job in ended} == {"succeeded"}
