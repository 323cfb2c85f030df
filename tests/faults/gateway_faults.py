"""Faults of the gateway: it dies or is stopped while it accepts jobs, clients stall, its files cannot be written."""

import resource
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from typing import Final

from tests.faults.kept_connections import KeptConnections
from tests.faults.scenario import Scenario, ScenarioRun
from tests.support.polling import poll
from tests.support.unread import arrived, request, unread

BETWEEN_WRITES: Final = ("gateway.created", "gateway.published", "gateway.confirmed")
STOP_SECONDS: Final = 30.0
FULL_SECONDS: Final = 2.0
LOCKED_SECONDS: Final = 3.0  # longer than SQLite waits for a lock
STALLED: Final = 30
JOBS_PER_STOP: Final = 5  # ten stops in a run of fifty jobs, two in the suites
ANSWERS: Final = 200  # of each gateway before it is stopped
UNREAD: Final = 60


def gateway_scenarios() -> list[Scenario]:
    return [
        Scenario(
            "gateway-killed-between-writes",
            "kill -9 of the gateway after `create`, after the publish and after the confirmation, in turn",
            partial(gateway_killed_at, BETWEEN_WRITES),
            workers=1,  # two workers could generate the image of a duplicated message at the same time
            begun_again=0,
            generated_again=0,
        ),
        Scenario("gateway-stopped", "SIGTERM to the gateway while jobs are submitted", _stopped),
        Scenario(
            "gateway-stopped-ten-times",
            "SIGTERM to the gateway, ten times, under clients that keep their connections: sockets, a library, "
            "HTTP/2; each request that is sent is answered",
            _stopped_ten_times,
            ("embedded",),
        ),
        Scenario(
            "bodies-stall",
            f"{STALLED} clients send half of a body and then nothing",
            _bodies_stall,
            settings={"STUDIO_BODY_DEADLINE_SECONDS": "1.5"},
        ),
        Scenario(
            "readers-do-not-read",
            f"{UNREAD} clients ask for a file of 9.7 MB, half of them over HTTP/2, and read nothing of it",
            _unread,
            settings={"STUDIO_TRUSTED_PROXIES": "127.0.0.1"},
        ),
        Scenario("disk-full", "no service can write to a file, logs included", _disk_full),
        Scenario(
            "file-locked",
            "another program locks the database for longer than the services wait",
            _locked,
            ("embedded",),
        ),
    ]


@contextmanager
def gateway_killed_at(failpoints: Sequence[str], run: ScenarioRun) -> Iterator[None]:
    """Have a gateway die at each of the failpoints, under new requests."""
    load = run.load
    share = (len(load.requests) - load.sent) // 2 // len(failpoints)
    for failpoint in failpoints:
        gateway = run.fleet.replace_gateway(failpoint=failpoint)
        load.send(load.sent + max(1, share))  # new requests: the workers may have begun all earlier ones
        code = gateway.wait(STOP_SECONDS)
        if code != -signal.SIGKILL:
            raise AssertionError(f"{failpoint} was never reached: {code}")
    yield


@contextmanager
def _stopped(run: ScenarioRun) -> Iterator[None]:
    yield
    if code := run.fleet.stop_gateway():
        raise AssertionError(f"a gateway told to stop exited with {code}")


@contextmanager
def _stopped_ten_times(run: ScenarioRun) -> Iterator[None]:
    yield
    with KeptConnections(("127.0.0.1", run.system.port)) as clients:
        for _ in range(len(run.load.requests) // JOBS_PER_STOP):
            clients.wait_for_answers(ANSWERS)
            if code := run.fleet.stop_gateway():
                raise AssertionError(f"a gateway told to stop exited with {code}")
        clients.wait_for_answers(ANSWERS)
    if clients.dropped:
        raise AssertionError(f"{len(clients.dropped)} requests got no answer: {clients.dropped[:5]}")


@contextmanager
def _bodies_stall(run: ScenarioRun) -> Iterator[None]:
    address = ("127.0.0.1", run.system.port)
    head = b"POST /v1/jobs HTTP/1.1\r\nHost: studio\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    stalled = [socket.create_connection(address, timeout=10) for _ in range(STALLED)]
    for connection in stalled:
        connection.sendall(head)
    yield
    for connection in stalled:
        with closing(connection):
            line = connection.recv(100).partition(b"\r\n")[0]
        if b" 408 " not in line:
            raise AssertionError(f"half a body was answered {line!r}")


@contextmanager
def _unread(run: ScenarioRun) -> Iterator[None]:
    """Each client has an address of its own. They are checked to stay, and to be in nothing's way."""
    system = run.system
    job = system.wait(system.submit("LARGE vase")["id"])
    path = f"/v1/jobs/{job['id']}/artifacts/0"
    with ExitStack() as stack:
        clients: list[socket.socket] = []
        for number in range(UNREAD):
            asked = request(path, ("1.1", "2")[number % 2], x_forwarded_for=f"203.0.113.{number}")
            clients += stack.enter_context(unread(("127.0.0.1", system.port), [asked]))
            poll(partial(arrived, clients[-1]), STOP_SECONDS, lambda: "an answer that begins")
        yield
        for asked_by_others in ("/readyz", path):
            status = system.client.get(asked_by_others).status_code
            if status != 200:
                raise AssertionError(f"{asked_by_others} was answered {status} while {UNREAD} clients read nothing")
    if (status := system.client.delete(f"/v1/jobs/{job['id']}").status_code) != 204:
        raise AssertionError(f"the removal was answered {status}")


@contextmanager
def _disk_full(run: ScenarioRun) -> Iterator[None]:
    """Limit the size of files to 0 bytes: a process that writes then fails as on a full disk."""
    pids = [process.pid for process in (run.fleet.gateway, *run.fleet.workers)]
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
    try:
        yield
        time.sleep(FULL_SECONDS)
    finally:
        for pid in pids:
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (hard, hard))


@contextmanager
def _locked(run: ScenarioRun) -> Iterator[None]:
    with closing(sqlite3.connect(run.system.folder / "studio.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        time.sleep(LOCKED_SECONDS)
        connection.execute("ROLLBACK")
