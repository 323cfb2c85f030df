"""A request that is refused since the queue did not confirm its message leaves nothing to be seen."""

import json
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from tests.support.operator import SECRET, studio, visitor
from tests.support.polling import poll
from tests.support.servers.stack import Stack
from tests.support.system import System, running_system


@pytest.fixture(params=["sqlite", pytest.param("redis", marks=pytest.mark.services)])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """A gateway whose queue is a file of its own, and whose sweeper sleeps."""
    settings = {
        "STUDIO_BROKER_URL": f"sqlite:///{tmp_path}/queue.db",
        "STUDIO_SWEEP_SECONDS": "3600",
        "STUDIO_SECRET_KEY": SECRET,
    }
    if request.param == "redis":
        stack: Stack = request.getfixturevalue("stack")
        settings["STUDIO_STATUSES_URL"] = stack.statuses_url
        with redis.Redis.from_url(stack.statuses_url) as client:
            client.flushdb()
    with running_system(tmp_path, settings) as running:
        running.start_gateway()
        yield running


@contextmanager
def locked_queue(system: System) -> Iterator[None]:
    """While another program writes to the queue's file, no message gets into it."""
    with closing(sqlite3.connect(system.folder / "queue.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def listed(client: httpx2.Client, **query: Any) -> list[str]:
    return [job["id"] for job in client.get("/v1/jobs", params=query).json()["data"]]


def test_refused_submit_is_not_listed(system: System) -> None:
    """No list shows a job whose request is still to be answered or was refused: API, pages, commands and counts."""
    jobs = [system.submit(f"accepted {number}")["id"] for number in range(3)][::-1]
    with locked_queue(system), ThreadPoolExecutor(3) as pool:
        answers = [pool.submit(system.client.post, "/v1/jobs", json={"prompt": f"mug {number}"}) for number in range(3)]
        poll(lambda: _live_records(system) == 6, 5)
        while not all(answer.done() for answer in answers):
            assert listed(system.client) == jobs
            assert _depth(system) <= 3
        assert {answer.result().json()["code"] for answer in answers} == {"not-accepted"}

    assert listed(system.client) == jobs
    first = system.client.get("/v1/jobs", params={"limit": 2}).json()
    assert [job["id"] for job in first["data"]] == jobs[:2]
    assert listed(system.client, limit=2, cursor=first["next_cursor"]) == jobs[2:]
    told = studio(system, "jobs", "--json")
    assert [job["id"] for job in json.loads(told.stdout)] == jobs, told
    poll(lambda: _depth(system) == 3, 10)


def test_refused_order_is_not_shown(system: System) -> None:
    """A visitor whose order was refused finds no photo in the history, and one ordered again is the only one."""
    with httpx2.Client(base_url=system.url, timeout=15, headers={"Origin": system.url}) as browser:
        visitor(browser)
        with locked_queue(system):
            assert browser.post("/", data={"prompt": "a vase"}).status_code == 503
        assert "a vase" not in browser.get("/history").text
        assert listed(browser) == []
        path = browser.post("/", data={"prompt": "a vase"}).headers["Location"]

        assert browser.get("/history").text.count('id="job-') == 1
        assert path in browser.get("/history").text


def _depth(system: System) -> int:
    depth: int = system.client.get("/v1/queue").json()["data"][0]["depth"]
    return depth


def _live_records(system: System) -> int:
    url = system.environment["STUDIO_STATUSES_URL"]
    if url.startswith("redis"):
        with redis.Redis.from_url(url) as client:
            return int(client.execute_command("ZCARD", "studio:live"))
    with closing(sqlite3.connect(system.folder / "studio.db")) as connection:
        count: int = connection.execute("SELECT count(*) FROM statuses WHERE forget_at IS NULL").fetchone()[0]
        return count
