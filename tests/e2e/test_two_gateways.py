"""Two gateways on the same backends answer alike."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import redis

from tests.support.api_keys import LINES, bearer
from tests.support.operator import SECRET, visitor
from tests.support.servers.server import free_port
from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

pytestmark = pytest.mark.services


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    """A system whose `client` uses the first gateway."""
    with redis.Redis.from_url(stack.statuses_url) as server:
        server.flushall()
    with running_system(tmp_path, stack.environment()) as running:
        running.start_gateway(secret_key=SECRET)
        yield running


@pytest.fixture
def other(system: System) -> Iterator[httpx2.Client]:
    """A client of the second gateway."""
    with another(system) as client:
        yield client


@contextmanager
def another(system: System, **settings: str) -> Iterator[httpx2.Client]:
    port = free_port()
    process = system.start("api", secret_key=SECRET, port=str(port), **settings)
    url = f"http://127.0.0.1:{port}"
    system.wait_until_ready(f"{url}/readyz", process)
    with httpx2.Client(base_url=url, timeout=15) as client:
        yield client


def post(client: httpx2.Client, key: str, prompt: str = "cup") -> httpx2.Response:
    return client.post("/v1/jobs", json={"prompt": prompt}, headers={"Idempotency-Key": key})


def test_keys_hold_across_gateways(system: System, other: httpx2.Client) -> None:
    """Requests to both gateways with one key make one job, even at the same time; both refuse another body."""
    first, again = post(system.client, "a"), post(other, "a")
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert post(other, "a", "mug").status_code == 422

    with ThreadPoolExecutor(8) as threads:
        answers = list(
            threads.map(lambda number: post((system.client, other)[number % 2], f"b{number // 4}"), range(40))
        )
    # A request that arrives while the first is being answered may get a 409.
    assert {answer.status_code for answer in answers} <= {202, 409}
    made = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert len(made) == 10


def test_history_and_places_hold_across_gateways(system: System, other: httpx2.Client) -> None:
    """Both gateways know a browser by its cookie, list its jobs and give the same positions, which never grow."""
    visitor(system.client)
    other.cookies.update(system.client.cookies)
    jobs = [client.post("/v1/jobs", json={"prompt": "cup"}).json()["id"] for client in (system.client, other) * 3]

    for client in (system.client, other):
        assert [job["id"] for job in client.get("/v1/jobs").json()["data"]] == jobs[::-1]
    for place, job_id in enumerate(jobs):
        seen = [client.get(f"/v1/jobs/{job_id}").json()["queue"]["position"] for client in (system.client, other) * 3]
        assert seen == [place] * 6
    assert other.post(f"/v1/jobs/{jobs[0]}/cancel").status_code == 202
    least = len(jobs)
    for client in (system.client, other) * 20:
        position = client.get(f"/v1/jobs/{jobs[-1]}").json()["queue"]["position"]
        assert position <= least
        least = position


def test_jobs_hold_across_gateways(system: System, other: httpx2.Client) -> None:
    """A gateway shows, waits for, delivers and removes the jobs that the other one accepted."""
    system.start_worker()
    job_id = system.submit("red mug")["id"]

    job = other.get(f"/v1/jobs/{job_id}", headers={"Prefer": "wait=30"}).json()
    assert job["state"] == "succeeded"
    images = [client.get(job["artifacts"][0]["url"]).content for client in (system.client, other)]
    assert images[0] == images[1]
    assert other.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert system.client.get(f"/v1/jobs/{job_id}").status_code == 410


def test_limits_hold_across_gateways(system: System) -> None:
    """The rate limit and the limit of live jobs of a key count over both gateways, separately for each key."""
    if (left := 3600 - time.time() % 3600) < 30:
        time.sleep(left)  # a window that ends during the test would admit more submits
    with (
        another(system, keys=LINES, rate_limit="5/hour") as one,
        another(system, keys=LINES, rate_limit="5/hour") as two,
    ):

        def submitted(name: str) -> list[int]:
            headers = bearer(name)
            turns = (one, two) * 3
            return [client.post("/v1/jobs", json={"prompt": "cup"}, headers=headers).status_code for client in turns]

        assert submitted("alice") == [202] * 5 + [429]
        assert submitted("bob") == [202] * 5 + [429]
    many = {"keys": LINES, "rate_limit": "", "owner_limit": "7"}
    with another(system, **many) as one, another(system, **many) as two:
        assert submitted("alice") == [202] * 2 + [429] * 4


def test_request_sent_again_joins_across_gateways(system: System, other: httpx2.Client) -> None:
    """A request that OpenAI's client sends again to another gateway waits for the job of the first time."""
    body = {"prompt": "cup", "n": 2}
    with pytest.raises(httpx2.ReadTimeout):
        ask(system.client, body, 0, timeout=0.5)
    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(ask, other, body, 1, timeout=30)
        system.start_worker()
        answer = asking.result(60)
    assert answer.status_code == 200, answer.text
    assert [job["id"] for job in system.client.get("/v1/jobs").json()["data"]] == [answer.headers["X-Job-Id"]]
    url = ask(other, {**body, "response_format": "url"}, 0, timeout=30).json()["data"][1]["url"]
    path = url.partition("/v1/")[2]
    assert system.client.get(f"/v1/{path}").headers["Content-Type"] == "image/png"


def ask(client: httpx2.Client, body: dict[str, object], number: int, *, timeout: float) -> httpx2.Response:
    headers = {"x-stainless-retry-count": str(number)}
    return client.post("/v1/images/generations", json=body, headers=headers, timeout=timeout)
