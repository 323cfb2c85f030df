"""kill -9 between every two writes: every accepted job succeeds once, after the expected number of attempts."""

import re
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import pytest

from services.common.failpoints import FAILPOINTS
from tests.support.models.scripted_adapter import expected_pixels, pixels_of
from tests.support.polling import poll
from tests.support.system import ROOT, System

pytest_plugins = ["tests.support.system_fixtures"]

JOBS = 20
KILLS = 2

# The failpoints of the worker; True if a kill there costs another attempt.
WORKER = {
    "worker.begun": True,
    "worker.generated": True,
    "worker.stored": True,
    "worker.finished": False,
    "worker.archived": False,
}
GATEWAY = ("gateway.created", "gateway.published", "gateway.confirmed")


def _submit_stubbornly(system: System, number: int, *, by_proxy: bool = False) -> str:
    """Submit as a careful client: repeat the request with its key until it is answered, and return the job id."""
    body = {"prompt": f"product {number}", "seed": number}
    # A gateway that trusts us as a proxy then sees one client a job, and no job is bulk.
    headers = {"Idempotency-Key": f"job-{number}", **({"X-Forwarded-For": f"203.0.113.{number}"} if by_proxy else {})}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            response = system.client.post("/v1/jobs", json=body, headers=headers)
        except httpx2.TransportError:
            time.sleep(0.1)
            continue
        if response.status_code == 202:
            return str(response.json()["id"])
        assert response.status_code in (409, 503), response.text
        time.sleep(0.1)
    raise AssertionError(f"job {number} was never accepted\n{system.log()[-3000:]}")


def _check(system: System, job_ids: list[str]) -> list[dict[str, object]]:
    assert len(set(job_ids)) == JOBS
    jobs = [system.wait(job_id) for job_id in job_ids]
    for number, job in enumerate(jobs):
        assert job["state"] == "succeeded", job
        assert len(job["artifacts"]) == 1
        png = system.client.get(job["artifacts"][0]["url"]).content
        assert pixels_of(png) == expected_pixels(f"product {number}", number)
    return jobs


def _died_there(process: subprocess.Popen[bytes]) -> None:
    """Wait until the failpoint has killed the process; a failpoint that never fires fails the test."""
    assert process.wait(timeout=60) == -signal.SIGKILL


def test_every_failpoint_is_reached_and_tried() -> None:
    """The failpoints that can be armed are those in the services, and a fault test names each of them."""

    def named(folder: str, pattern: str) -> set[str]:
        return {name for file in (ROOT / folder).rglob("*.py") for name in re.findall(pattern, file.read_text())}

    assert named("services", r'\.reach\("([a-z.]+)"\)') == set(FAILPOINTS)
    assert set(FAILPOINTS) <= named("tests/faults", r'"((?:gateway|worker)\.[a-z]+)"')


@pytest.mark.parametrize("failpoint", WORKER)
def test_worker_killed(system: System, failpoint: str) -> None:
    """A worker killed at any failpoint loses no job, and only unfinished work is repeated."""
    system.start_gateway(trusted_proxies="127.0.0.1")
    job_ids = [_submit_stubbornly(system, number, by_proxy=True) for number in range(JOBS)]
    for passes in range(1, KILLS + 1):
        # One job at a time, in one lane: only the job at the failpoint is begun when the worker dies.
        _died_there(system.start("worker", prefetch="1", failpoint=f"{failpoint}@{passes}"))
    system.start_worker()

    jobs = _check(system, job_ids)
    again = KILLS if WORKER[failpoint] else 0
    assert sum(int(str(job["attempt"])) for job in jobs) == JOBS + again
    generated = sum(system.generation_counts().values())
    assert generated == JOBS + (again if failpoint != "worker.begun" else 0)


def test_worker_killed_before_the_dead_letter(system: System) -> None:
    """A job that ended as poison has its dead letter, also if the worker that ended it died before it was put there."""
    system.start_gateway(max_attempts="1")
    job = system.submit("KILL the worker")
    for failpoint in ({}, {"failpoint": "worker.finished"}):
        _died_there(system.start("worker", max_attempts="1", **failpoint))
    assert system.wait(job["id"])["error"]["code"] == "poison"
    system.start_worker(max_attempts="1")

    system.wait_for_log("message goes to the dead letters", seconds=20)
    after = system.wait(system.submit("afterwards")["id"])
    assert (after["state"], system.generation_counts()[job["id"]]) == ("succeeded", 1)


@pytest.mark.parametrize("failpoint", GATEWAY)
def test_gateway_killed(system: System, failpoint: str) -> None:
    """A gateway killed while it accepts loses no job whose request is repeated, and no job runs twice."""
    system.start_worker()
    gateway = system.start_gateway(failpoint=f"{failpoint}@3")
    with ThreadPoolExecutor(1) as pool:
        accepted = pool.submit(lambda: [_submit_stubbornly(system, number) for number in range(JOBS)])
        _died_there(gateway)
        # Start without waiting: the client repeats its request, so this gateway may die before it answers /livez.
        _died_there(system.start("api", failpoint=f"{failpoint}@5"))
        system.start_gateway()
        jobs = _check(system, accepted.result())
    assert {job["attempt"] for job in jobs} == {1}
    assert sum(system.generation_counts().values()) == JOBS


@pytest.mark.parametrize("failpoint", GATEWAY)
def test_gateway_killed_and_the_client_gone(system: System, failpoint: str) -> None:
    """A job that a dead gateway had begun to accept is published by the next gateway's sweeper, and runs once."""
    system.start_worker()
    gateway = system.start_gateway(failpoint=failpoint)
    with pytest.raises(httpx2.TransportError):
        system.submit("left behind", key="left", seed=5)
    _died_there(gateway)
    system.start_gateway()

    poll(system.generation_counts, 40, system.log)
    job = system.wait(system.submit("left behind", key="left", seed=5)["id"])
    assert (job["state"], job["attempt"]) == ("succeeded", 1)
    assert system.generation_counts() == {job["id"]: 1}


def test_gateway_killed_while_refusing(system: System) -> None:
    """A job that was to be refused for a full queue is accepted when its request is repeated and there is room."""
    gateway = system.start_gateway(failpoint="gateway.refused", queue_limit="1")
    first = system.submit("fills the queue", key="first", seed=1)
    with pytest.raises(httpx2.TransportError):
        system.submit("too much", key="second", seed=2)
    _died_there(gateway)
    system.start_gateway()
    second = system.submit("too much", key="second", seed=2)
    system.start_worker()

    assert {system.wait(job["id"])["state"] for job in (first, second)} == {"succeeded"}
    assert system.generation_counts() == {first["id"]: 1, second["id"]: 1}


def test_gateway_killed_while_canceling(system: System) -> None:
    """A queued job whose cancellation was interrupted stays canceled and never runs."""
    gateway = system.start_gateway(failpoint="gateway.canceled")
    job = system.submit("not wanted")
    with pytest.raises(httpx2.TransportError):
        system.client.post(f"/v1/jobs/{job['id']}/cancel")
    _died_there(gateway)
    system.start_gateway()
    system.start_worker()

    after = system.submit("wanted")
    assert system.wait(after["id"])["state"] == "succeeded"
    assert system.wait(job["id"])["state"] == "canceled"
    assert system.generation_counts() == {after["id"]: 1}


@pytest.mark.parametrize("failpoint", ["gateway.buried", "gateway.ended"])
def test_gateway_killed_while_removing_a_live_job(system: System, failpoint: str) -> None:
    """The next gateway completes the removal of a queued job: the job is 410 and never runs."""
    gateway = system.start_gateway(failpoint=failpoint)
    job, other = system.submit("to be removed"), system.submit("to be kept")
    with pytest.raises(httpx2.TransportError):
        system.client.delete(f"/v1/jobs/{job['id']}")
    _died_there(gateway)
    system.start_gateway()
    _await_gone(system, f"/v1/jobs/{job['id']}")
    system.start_worker()

    assert system.wait(other["id"])["state"] == "succeeded"
    assert system.generation_counts() == {other["id"]: 1}


@pytest.mark.parametrize("failpoint", ["gateway.buried", "gateway.forgotten"])
def test_gateway_killed_while_removing(system: System, failpoint: str) -> None:
    """The next gateway completes an interrupted removal: the job and its artifact are 410."""
    system.start_worker()
    gateway = system.start_gateway(failpoint=failpoint)
    job = system.wait(system.submit("to be removed")["id"])
    with pytest.raises(httpx2.TransportError):
        system.client.delete(f"/v1/jobs/{job['id']}")
    _died_there(gateway)
    system.start_gateway()
    _await_gone(system, job["artifacts"][0]["url"])
    assert system.client.get(f"/v1/jobs/{job['id']}").status_code == 410


def _await_gone(system: System, url: str) -> None:
    poll(lambda: system.client.get(url).status_code == 410, 20, lambda: f"{url} is still there")
