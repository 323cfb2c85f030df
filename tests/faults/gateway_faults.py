"""Gateways that die or are told to stop while they take jobs, clients that keep them waiting, files out of reach."""

import resource
import signal
import socket
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from tests.faults.scenario import Scenario, Stage

BETWEEN_WRITES: Final = ("gateway.created", "gateway.published", "gateway.confirmed")
STOP_SECONDS: Final = 30.0
FULL_SECONDS: Final = 2.0
LOCKED_SECONDS: Final = 3.0  # longer than SQLite waits for a lock
STALLED: Final = 30


def gateway_scenarios() -> list[Scenario]:
    return [
        Scenario(
            "gateway-killed-between-writes",
            "kill -9 of the gateway after `create`, after the publish and after the confirmation, one after the other",
            _killed_between_writes,
            workers=1,  # of a message that is there twice, two may draw the picture at once
            begun_again=0,
            painted_again=0,
        ),
        Scenario("gateway-stopped", "SIGTERM of the gateway while jobs are submitted", _stopped),
        Scenario(
            "bodies-stall",
            f"{STALLED} clients that send half of a body and then nothing",
            _bodies_stall,
            settings={"STUDIO_BODY_DEADLINE_SECONDS": "1.5"},
        ),
        Scenario("disk-full", "no process of ours can write to a file any more, logs included", _disk_full),
        Scenario(
            "file-locked", "another program locks the database for longer than anyone waits", _locked, ("embedded",)
        ),
    ]


@contextmanager
def _killed_between_writes(stage: Stage) -> Iterator[None]:
    load = stage.load
    share = (len(load.wishes) - load.sent) // 2 // len(BETWEEN_WRITES)
    for failpoint in BETWEEN_WRITES:
        gateway = stage.crew.replace_gateway(failpoint=failpoint)
        load.send(load.sent + max(1, share))  # new ones: workers may know all those before
        code = gateway.wait(STOP_SECONDS)
        if code != -signal.SIGKILL:
            raise AssertionError(f"{failpoint} was never reached: {code}")
    yield


@contextmanager
def _stopped(stage: Stage) -> Iterator[None]:
    yield
    if code := stage.crew.stop_gateway():
        raise AssertionError(f"a gateway told to stop left with {code}")


@contextmanager
def _bodies_stall(stage: Stage) -> Iterator[None]:
    address = ("127.0.0.1", stage.system.port)
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
def _disk_full(stage: Stage) -> Iterator[None]:
    """A file may not grow beyond nothing, which is what a full disk looks like to who writes."""
    pids = [process.pid for process in (stage.crew.gateway, *stage.crew.workers)]
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
def _locked(stage: Stage) -> Iterator[None]:
    with closing(sqlite3.connect(stage.system.folder / "studio.db", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        yield
        time.sleep(LOCKED_SECONDS)
        connection.execute("ROLLBACK")
