"""The gateway answers every request within three seconds while a dependency hangs, or is slow."""

import asyncio
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from services.api.app import create_app
from services.common.catalogue.files import load_catalogue
from services.common.ids import new_job_id
from services.common.settings import Settings
from tests.faults.backends import ScenarioBackends, proxied_stack
from tests.faults.toxics import SlowAnswers, Timeout
from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

SECONDS = 3.0
CLIENTS = 25
STILL_RUNNING = ("POST /v1/images/generations", 504)  # the answer about a job that no worker takes
BODIES: dict[str, dict[str, Any]] = {
    "/v1/jobs": {"json": {"prompt": "mug"}},
    "/v1/images/generations": {"json": {"prompt": "mug"}},
    "/": {"data": {"prompt": "mug"}},
}


@pytest.fixture(scope="module")
def distributed(stack: Stack) -> Iterator[ScenarioBackends]:
    with proxied_stack(stack) as backends:
        yield backends


@contextmanager
def _gateway(folder: Path, backends: ScenarioBackends) -> Iterator[System]:
    """Start a system with a gateway only."""
    backends.clear()
    settings = {
        **backends.environment(),
        "STUDIO_IMAGE_WAIT_SECONDS": "0.1",
        "STUDIO_LOG_LEVEL": "warning",
        "STUDIO_RATE_LIMIT": "1000/minute",  # submits are then counted, which needs Redis as well
    }
    with running_system(folder, settings) as system:
        system.start_gateway()
        yield system


@pytest.mark.services
@pytest.mark.parametrize("how", ["stopped", "black hole"])
@pytest.mark.parametrize(
    ("server", "needed_by"),
    [("broker", "POST /v1/jobs"), ("redis", "GET /v1/jobs"), ("s3", "GET /v1/jobs/FINISHED/artifacts/0")],
)
def test_server(distributed: ScenarioBackends, tmp_path: Path, server: str, needed_by: str, how: str) -> None:
    """While RabbitMQ, Redis or S3 hangs, every endpoint and page answers in time, with 503 if it needs the server."""
    with _gateway(tmp_path, distributed) as system:
        statuses = _check(system, _hanging(distributed, server, how))
    assert statuses[needed_by] == 503
    assert statuses["GET /v1/models"] == statuses["GET /livez"] == 200


def test_file(tmp_path: Path) -> None:
    """While another program locks the database, every endpoint and page answers in time."""
    with _gateway(tmp_path, ScenarioBackends()) as system:
        statuses = _check(system, _locked(system.folder / "studio.db"))
    assert statuses["POST /v1/jobs"] == 503


@pytest.mark.services
@pytest.mark.parametrize(
    ("server", "seconds", "works"),
    [
        ("broker", 0.4, "POST /v1/jobs"),
        ("broker", 0.9, "GET /v1/jobs"),
        ("redis", 0.6, "POST /v1/jobs"),
        ("redis", 1.7, "GET /v1/models"),  # calls wait for the round trip before theirs
        ("s3", 0.6, "GET /v1/jobs/FINISHED/artifacts/0"),
        ("s3", 1.7, "GET /v1/jobs/FINISHED/artifacts/0"),
    ],
)
def test_slow_server(distributed: ScenarioBackends, tmp_path: Path, server: str, seconds: float, works: str) -> None:
    """While each answer of a server takes long, every endpoint and page answers in time: the calls do not add up."""
    with _gateway(tmp_path, distributed) as system:
        statuses = _check(system, distributed.proxies[server].toxic(SlowAnswers(seconds), "downstream"))
    assert statuses[works] < 300
    assert statuses["GET /v1/models"] == statuses["GET /livez"] == 200


@pytest.mark.services
def test_slow_manifest(distributed: ScenarioBackends, tmp_path: Path) -> None:
    """A finished job that only the object store knows is found within the time of one slow answer."""
    with _gateway(tmp_path, distributed) as system:
        system.start_worker()
        finished = system.wait(system.submit("mug")["id"])["id"]
        distributed.clear()
        with distributed.proxies["s3"].toxic(SlowAnswers(1.7), "downstream"):
            answer = system.client.get(f"/v1/jobs/{finished}")
    assert (answer.status_code, answer.json()["state"]) == (200, "succeeded")
    assert answer.elapsed.total_seconds() < SECONDS


def test_slow_file(tmp_path: Path) -> None:
    """While another program locks the database time and again, every endpoint and page answers in time."""
    with _gateway(tmp_path, ScenarioBackends()) as system:
        statuses = _check(system, _locked_again_and_again(system.folder / "studio.db"))
    assert statuses["GET /v1/models"] == statuses["GET /livez"] == 200


def _check(system: System, hanging: AbstractContextManager[None]) -> dict[str, int]:
    """Send all requests while the dependency hangs, check each answer, and return the statuses."""
    worker = system.start_worker()
    finished = str(system.wait(system.submit("finished")["id"])["id"])
    worker.terminate()
    worker.wait()
    requests = _requests(system, finished)
    with hanging:
        answers = asyncio.run(_ask(system.url, requests))
    faults = [fault for name, answer, seconds in answers if (fault := _fault(answer, seconds, name))]
    assert faults == []
    return {name.replace(finished, "FINISHED"): answer.status_code for name, answer, _ in answers}


def _fault(answer: httpx2.Response, seconds: float, name: str) -> str | None:
    if seconds > SECONDS:
        return f"{name} took {seconds:.1f} s"
    if answer.status_code >= 500 and (name, answer.status_code) != STILL_RUNNING:
        if answer.status_code != 503 or "Retry-After" not in answer.headers:
            return f"{name} was answered {answer.status_code} {answer.text[:300]}"
        if name.split()[1].startswith("/v1/jobs") and answer.headers["Content-Type"] != "application/problem+json":
            return f"{name} was answered in {answer.headers['Content-Type']}"
    return None


def _requests(system: System, finished: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, path and body of a request of every route, about jobs that ended, wait, or never existed."""
    asked: list[tuple[str, str, dict[str, Any]]] = []
    catalogue = load_catalogue(Path(system.environment["STUDIO_CATALOGUE"]), Settings().styles)
    for route in create_app(Settings(), catalogue).routes:
        if not isinstance(route, Route):
            continue
        for method in sorted(set(route.methods or ()) - {"HEAD"}):
            given = BODIES.get(route.path, {}) if method == "POST" else {}
            jobs = [""]
            if "{job_id}" in route.path:
                waiting = str(system.submit("waiting")["id"])
                jobs = [waiting, new_job_id(), *([finished] if method == "GET" else [])]
            for job in jobs:
                path = route.path.replace("{job_id}", job).replace("{index}", "0").replace("{name}", system.model)
                path = path.replace("{message_id}", "unknown").replace("{model}", system.model)
                path = path.replace("{input_id}", new_job_id())
                asked.append((method, path, given))
    assert len(asked) > 40
    assert not [path for _, path, _ in asked if "{" in path and "{code}" not in path]
    return asked


async def _ask(url: str, requests: list[tuple[str, str, dict[str, Any]]]) -> list[tuple[str, httpx2.Response, float]]:
    async with httpx2.AsyncClient(base_url=url, timeout=20, headers={"Origin": url}) as client:
        at_once = asyncio.Semaphore(CLIENTS)

        async def ask(method: str, path: str, given: dict[str, Any]) -> tuple[str, httpx2.Response, float]:
            async with at_once:
                began = time.monotonic()
                answer = await client.request(method, path, **given)
                return f"{method} {path}", answer, time.monotonic() - began

        return await asyncio.gather(*(ask(*request) for request in requests))


@contextmanager
def _hanging(backends: ScenarioBackends, name: str, how: str) -> Iterator[None]:
    if how == "black hole":
        with backends.proxies[name].toxic(Timeout()):
            yield
        return
    server = {"broker": backends.servers.rabbitmq, "redis": backends.servers.redis, "s3": backends.servers.s3}[name]
    server.pause()
    try:
        yield
    finally:
        server.resume()


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        connection.execute("ROLLBACK")


@contextmanager
def _locked_again_and_again(file: Path) -> Iterator[None]:
    """Hold the lock for nearly as long as a statement waits, then let one through."""
    over = threading.Event()

    def lock() -> None:
        with closing(sqlite3.connect(file, isolation_level=None, timeout=10)) as connection:
            while not over.is_set():
                connection.execute("BEGIN EXCLUSIVE")
                over.wait(1.7)
                connection.execute("ROLLBACK")
                over.wait(0.02)

    locking = threading.Thread(target=lock)
    locking.start()
    try:
        yield
    finally:
        over.set()
        locking.join()
