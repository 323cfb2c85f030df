"""The whole system while its machines' clocks are wrong, or are set under way."""

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import httpx2
import pytest
import redis

from services.common.ids import new_job_id
from tests.support.servers.server import free_port
from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

TEN_MINUTES = 600


class Clock:
    """The clock of one machine, for the `studio` processes started by it."""

    def __init__(self, file: Path) -> None:
        self.program = ("tests.support.wall_clock", str(file))
        self._file = file
        self.set_ahead(0)

    def set_ahead(self, seconds: float) -> None:
        fresh = self._file.with_suffix(".new")
        fresh.write_text(str(seconds))
        fresh.replace(self._file)


@pytest.fixture
def clock(tmp_path: Path) -> Clock:
    return Clock(tmp_path / "clock.txt")


@pytest.fixture
def embedded(tmp_path: Path, clock: Clock) -> Iterator[System]:
    with running_system(tmp_path, {}) as running:
        running.program = clock.program
        yield running


@pytest.fixture
def distributed(stack: Stack, tmp_path: Path) -> Iterator[System]:
    with redis.Redis.from_url(stack.statuses_url) as client:
        client.flushall()
    with running_system(tmp_path, stack.environment()) as running:
        yield running


@pytest.mark.parametrize("step", [-TEN_MINUTES, TEN_MINUTES])
def test_job_of_a_dead_worker_is_taken_over_in_time(embedded: System, clock: Clock, step: float) -> None:
    """A job whose worker died runs again within its leases, although the clock was set back or forward meanwhile."""
    embedded.start_gateway()
    worker = embedded.start_worker()
    job = embedded.submit("SLOW bowl")
    embedded.wait_for(job["id"], lambda now: bool(now["state"] == "running"))
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    clock.set_ahead(step)
    embedded.start_worker()

    assert embedded.wait(job["id"], 30)["state"] == "succeeded"


@pytest.mark.parametrize("step", [-TEN_MINUTES, TEN_MINUTES])
def test_running_job_keeps_its_worker(embedded: System, clock: Clock, step: float) -> None:
    """Setting the clock takes no message from a worker that lives: its job ends once, in its first attempt."""
    embedded.start_gateway()
    for _ in range(2):
        embedded.start_worker()
    job = embedded.submit("SLOW bowl")
    embedded.wait_for(job["id"], lambda now: bool(now["state"] == "running"))
    clock.set_ahead(step)
    deliveries = {1}
    with closing(sqlite3.connect(embedded.folder / "studio.db", isolation_level=None)) as connection:
        while rows := connection.execute("SELECT deliveries FROM messages").fetchall():
            deliveries |= {count for (count,) in rows}
            time.sleep(0.05)

    assert deliveries == {1}
    assert embedded.wait(job["id"], 30)["attempt"] == 1
    assert embedded.generation_counts() == {job["id"]: 1}


@pytest.mark.services
@pytest.mark.parametrize("ahead", [TEN_MINUTES, -TEN_MINUTES, 86_400])
def test_emptied_redis_and_a_gateway_that_goes_wrong(
    distributed: System, stack: Stack, clock: Clock, ahead: float
) -> None:
    """After a flush a live job is 503 until it is begun, never 404, whatever the clock of its gateway says."""
    clock.set_ahead(ahead)
    distributed.program = clock.program
    distributed.start_gateway()
    job = distributed.submit("red mug")
    with redis.Redis.from_url(stack.statuses_url) as client:
        client.flushall()
    answer = distributed.client.get(f"/v1/jobs/{job['id']}")
    assert (answer.status_code, answer.json()["code"]) == (503, "status-rebuilding")
    distributed.submit("sets the epoch")
    assert distributed.client.get(f"/v1/jobs/{job['id']}").status_code == 503
    clock.set_ahead(0)  # as NTP does at last
    assert distributed.client.get(f"/v1/jobs/{job['id']}").status_code == 503
    assert distributed.client.get(f"/v1/jobs/{new_job_id()}").status_code == 404
    distributed.start_worker()

    assert distributed.wait(job["id"])["state"] == "succeeded"


@pytest.mark.services
@pytest.mark.parametrize("ahead", [TEN_MINUTES, -TEN_MINUTES])
def test_time_to_wait_is_measured_by_one_clock(distributed: System, clock: Clock, ahead: float) -> None:
    """A job waits as long as it may, and shows right times, though its gateway's clock is wrong by more than that."""
    clock.set_ahead(ahead)
    worker_program, distributed.program = distributed.program, clock.program
    distributed.start_gateway(job_ttl_seconds="300")
    job = distributed.submit("red mug")
    distributed.program = worker_program
    distributed.start_worker()

    ended = distributed.wait(job["id"])
    assert ended["state"] == "succeeded"
    created, started = (datetime.fromisoformat(ended[name]) for name in ("created_at", "started_at"))
    assert 0 <= (started - created).total_seconds() < 60


@pytest.mark.services
def test_rates_are_counted_by_one_clock(distributed: System, clock: Clock) -> None:
    """A caller gets no more from two gateways than from one, though the clock of one is wrong by a whole window."""
    distributed.environment["STUDIO_RATE_LIMIT"] = "5/day"
    distributed.start_gateway()
    for _ in range(4):
        distributed.submit("red mug")
    clock.set_ahead(86_400)
    port = free_port()
    distributed.program = clock.program
    other = f"http://127.0.0.1:{port}"
    distributed.wait_until_ready(f"{other}/livez", distributed.start("api", port=str(port)))

    answers = [httpx2.post(f"{other}/v1/jobs", json={"prompt": "red mug"}, timeout=15).status_code for _ in range(2)]
    assert answers == [202, 429]
