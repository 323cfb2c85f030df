"""Redis fails over, or refuses to serve: readiness says so, and connections follow the name to another server."""

import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pytest
import redis

from services.common.ids import new_job_id
from services.common.redis.link import RENEW_SECONDS
from tests.faults.proxy import Proxy, running_proxies
from tests.support.polling import poll
from tests.support.servers.redis import RedisServer
from tests.support.servers.server import free_port
from tests.support.system import System, running_system

pytestmark = pytest.mark.services

SOON_SECONDS = 10.0


@dataclass(frozen=True)
class Pair:
    """Two servers, and the name that clients know, which leads to one of them."""

    old: RedisServer
    new: RedisServer
    name: Proxy

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.name.port}/0"

    def fail_over(self, *, follow: bool = True) -> None:
        """Make `old` a replica of `new`, with connections left open; the name follows unless told otherwise."""
        command(self.new, "REPLICAOF", "NO", "ONE")
        if follow:
            self.name.lead_to(self.new.port)
        command(self.old, "REPLICAOF", "127.0.0.1", str(self.new.port))


def command(server: RedisServer, *words: str) -> Any:
    with redis.Redis(port=server.port) as client:
        return client.execute_command(*words)


def until_caught_up(server: RedisServer) -> None:
    with redis.Redis(port=server.port) as client:
        poll(lambda: client.info("replication").get("master_link_status") == "up", SOON_SECONDS)


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with ExitStack() as running:
        servers = [RedisServer(tmp_path / name) for name in ("old", "new")]
        for server in servers:
            running.callback(server.stop)
            server.start()
        old, new = servers
        command(old, "CONFIG", "SET", "repl-diskless-sync-delay", "0")
        command(new, "REPLICAOF", "127.0.0.1", str(old.port))
        (name,) = running.enter_context(running_proxies([old.port]))
        until_caught_up(new)
        yield Pair(old, new, name)


@pytest.fixture
def system(pair: Pair, tmp_path: Path) -> Iterator[System]:
    """A system whose records are in the pair, with a rate limit, which has a link of its own."""
    folder = tmp_path / "system"
    folder.mkdir()
    with running_system(folder, {"STUDIO_STATUSES_URL": pair.url, "STUDIO_RATE_LIMIT": "1000/minute"}) as running:
        yield running


def ready(system: System) -> httpx2.Response:
    return system.client.get("/readyz")


def until_ready(system: System, status: int) -> httpx2.Response:
    return poll(lambda: answer if (answer := ready(system)).status_code == status else None, SOON_SECONDS, system.log)


@pytest.mark.parametrize("times", [1, 3])
def test_connections_follow_the_name(system: System, pair: Pair, times: int) -> None:
    """After a fail-over, and after more of them, submits are taken at once and jobs begun before are finished."""
    system.start_gateway()
    system.start_worker()
    before = system.submit("before")
    system.wait(before["id"])
    old, new = pair.old, pair.new
    for number in range(times):
        until_caught_up(new)
        Pair(old, new, pair.name).fail_over()
        job = system.submit(f"after {number}")
        assert system.wait(job["id"])["state"] == "succeeded"
        assert ready(system).status_code == 200
        old, new = new, old
        time.sleep(RENEW_SECONDS)  # sooner than that, links are not renewed again: no real fail-over comes as soon

    assert system.wait(before["id"])["state"] == "succeeded"
    assert httpx2.get(f"{system.worker_url}/readyz", timeout=5).status_code == 200


def test_job_outlives_a_failover(system: System, pair: Pair) -> None:
    """A job that runs while Redis fails over ends once, in its first attempt."""
    system.start_gateway()
    system.start_worker()
    job = system.submit("SLOW bowl")
    system.wait_for(job["id"], lambda now: bool(now["state"] == "running"))
    pair.fail_over()

    assert system.wait(job["id"])["state"] == "succeeded"
    assert system.generation_counts() == {job["id"]: 1}


def test_client_that_waits_outlives_a_failover(system: System, pair: Pair) -> None:
    """A client that waits for its images gets them although Redis failed over meanwhile."""
    system.start_gateway()
    system.start_worker()
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(system.client.post, "/v1/images/generations", json={"prompt": "SLOW bowl"})
        poll(system.generation_counts, SOON_SECONDS, system.log)
        pair.fail_over()
        answer = asked.result()
    assert answer.status_code == 200, answer.text


@contextmanager
def replica(pair: Pair) -> Iterator[None]:
    pair.fail_over(follow=False)
    yield
    command(pair.old, "REPLICAOF", "NO", "ONE")


@contextmanager
def full(pair: Pair) -> Iterator[None]:
    command(pair.old, "CONFIG", "SET", "maxmemory", "1")
    yield
    command(pair.old, "CONFIG", "SET", "maxmemory", "0")


@contextmanager
def unsaved(pair: Pair) -> Iterator[None]:
    """Redis cannot save: its folder is gone."""
    command(pair.old, "CONFIG", "SET", "save", "3600 1000")
    shutil.rmtree(pair.old.folder)
    with redis.Redis(port=pair.old.port) as client:
        client.bgsave()
        poll(lambda: client.info("persistence")["rdb_last_bgsave_status"] == "err", SOON_SECONDS)
    yield
    command(pair.old, "CONFIG", "SET", "stop-writes-on-bgsave-error", "no")


@contextmanager
def alone(pair: Pair) -> Iterator[None]:
    command(pair.old, "CONFIG", "SET", "min-replicas-to-write", "2")
    yield
    command(pair.old, "CONFIG", "SET", "min-replicas-to-write", "0")


@contextmanager
def locked(pair: Pair) -> Iterator[None]:
    """Redis asks for a password from now on, of connections that are open as well."""
    command(pair.old, "CONFIG", "SET", "requirepass", "other")
    pair.name.cut()
    yield
    with redis.Redis(port=pair.old.port, password="other") as client:
        client.config_set("requirepass", "")


@contextmanager
def forbidden(pair: Pair) -> Iterator[None]:
    command(pair.old, "ACL", "SETUSER", "default", "-@write")
    yield
    command(pair.old, "ACL", "SETUSER", "default", "+@all")


REFUSALS: dict[str, tuple[Callable[[Pair], Any], str]] = {
    "READONLY": (replica, "REPLICAOF NO ONE"),
    "OOM": (full, "CONFIG SET maxmemory"),
    "MISCONF": (unsaved, "stop-writes-on-bgsave-error no"),
    "NOREPLICAS": (alone, "min-replicas-to-write 0"),
    "NOAUTH": (locked, ":PASSWORD@HOST"),
    "NOPERM": (forbidden, "ACL SETUSER"),
}


@pytest.mark.parametrize("word", REFUSALS)
def test_refusing_redis_is_not_ready(system: System, pair: Pair, word: str) -> None:
    """While Redis refuses, nothing is ready, and each link tells the cure once; then all goes on by itself."""
    system.start_gateway()
    system.start_worker()
    refusing, cure = REFUSALS[word]
    with refusing(pair):
        assert until_ready(system, 503).json()["not_ready"] == ["statuses"]
        poll(lambda: _worker_unready(system), SOON_SECONDS, system.log)
        for _ in range(5):
            assert system.client.post("/v1/jobs", json={"prompt": "mug"}).status_code == 503
            assert ready(system).status_code == 503
        told = [line for line in system.log().splitlines() if "needs an operator" in line and cure in line]
        assert 1 <= len(told) <= 4, system.log()  # the links of gateway, rate limit and worker, and its cache
    until_ready(system, 200)

    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"


@pytest.mark.parametrize("word", ["READONLY", "OOM", "MISCONF", "NOREPLICAS"])
def test_refusing_redis_is_read(system: System, pair: Pair, word: str) -> None:
    """While Redis takes no writes, everything that is there to read is read: all states, lists, files and pages."""
    system.start_gateway()
    worker = system.start_worker()
    recorded, archived, removed = (system.wait(system.submit(name)["id"]) for name in ("mug", "vase", "bowl"))
    assert system.client.delete(f"/v1/jobs/{removed['id']}").status_code == 204
    worker.send_signal(signal.SIGTERM)
    worker.wait(60)
    waiting = system.submit("waits")
    command(pair.old, "DEL", f"studio:job:{archived['id']}")  # its retention is over
    with REFUSALS[word][0](pair):
        until_ready(system, 503)
        found = {job_id: system.client.get(f"/v1/jobs/{job_id}") for job_id in (recorded["id"], archived["id"])}
        assert {job_id: (answer.status_code, answer.json()["state"]) for job_id, answer in found.items()} == {
            recorded["id"]: (200, "succeeded"),
            archived["id"]: (200, "succeeded"),
        }
        assert system.client.get(f"/v1/jobs/{waiting['id']}").json()["state"] == "queued"
        assert system.client.get(f"/v1/jobs/{removed['id']}").status_code == 410
        assert system.client.get(f"/v1/jobs/{new_job_id()}").status_code == 404
        assert [job["id"] for job in system.client.get("/v1/jobs").json()["data"]] == [waiting["id"], recorded["id"]]
        for path in (recorded["artifacts"][0]["url"], f"/jobs/{recorded['id']}", "/v1/queue", "/v1/status", "/status"):
            assert system.client.get(path).status_code == 200, path
        assert system.client.get("/v1/status").json()["dependencies"]["statuses"] == "unavailable"
        assert system.client.post(f"/v1/jobs/{recorded['id']}/cancel").status_code == 409


def test_emptied_redis_that_takes_no_writes(system: System, pair: Pair) -> None:
    """A live job of a Redis that was emptied and is not used since is 503 and not 404, though no epoch can be set."""
    system.start_gateway()
    job = system.submit("waits")
    command(pair.old, "FLUSHALL")
    with alone(pair):
        until_ready(system, 503)
        answer = system.client.get(f"/v1/jobs/{job['id']}")
        assert (answer.status_code, answer.json()["code"]) == (503, "status-rebuilding")
        assert system.client.get("/v1/jobs").json()["data"] == []
    until_ready(system, 200)
    assert system.client.get(f"/v1/jobs/{job['id']}").status_code == 503
    assert system.client.get(f"/v1/jobs/{new_job_id()}").status_code == 404


def test_gateway_starts_while_redis_takes_no_writes(system: System, pair: Pair) -> None:
    """A gateway that is started anew meanwhile serves what can be read, and is ready once submits are possible."""
    gateway = system.start_gateway()
    job = system.submit("waits")
    gateway.send_signal(signal.SIGTERM)
    gateway.wait(60)
    with alone(pair):
        system.start_gateway()
        assert system.client.get(f"/v1/jobs/{job['id']}").json()["state"] == "queued"
        assert ready(system).status_code == 503
    until_ready(system, 200)
    system.start_worker()
    assert system.wait(job["id"])["state"] == "succeeded"


def test_job_ends_while_redis_is_full(system: System, pair: Pair) -> None:
    """A job that runs when the memory of Redis is used up is stored and ended, and one may be canceled."""
    system.start_gateway()
    system.start_worker()
    running, other = system.submit("SLOW bowl"), system.submit("SLOW too")
    system.wait_for(running["id"], lambda now: bool(now["state"] == "running"))
    with full(pair):
        assert system.client.post(f"/v1/jobs/{other['id']}/cancel").status_code in (200, 202)
        assert system.wait(running["id"])["state"] == "succeeded"


def _worker_unready(system: System) -> bool:
    return "statuses" in httpx2.get(f"{system.worker_url}/readyz", timeout=5).json()["not_ready"]


@pytest.mark.parametrize("user", ["", ":wrong@", "nobody:wrong@"])
def test_process_that_can_never_work_ends(system: System, pair: Pair, user: str) -> None:
    """With a password that is missing or wrong, worker and gateway end, and say what to correct."""
    command(pair.old, "CONFIG", "SET", "requirepass", "right")
    url = pair.url.replace("redis://", f"redis://{user}")
    worker, gateway = system.start("worker", statuses_url=url), system.start("api", statuses_url=url)

    assert (worker.wait(60), gateway.wait(60)) == (78, 3)
    assert "STUDIO_STATUSES_URL" in system.log()
    assert "wrong@" not in system.log()


def test_port_of_nothing(system: System) -> None:
    """A Redis that is not there is no fault of rights: the worker may be started again."""
    assert system.start("worker", statuses_url=f"redis://127.0.0.1:{free_port()}/0").wait(60) == 69
