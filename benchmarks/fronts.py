"""Starts and compares front ends: our gateway behind Hypercorn and uvicorn, and FastAPI with taskiq. No worker runs.

`polls` and `submit` compare these; `floor` compares the two servers alone.
"""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection

import psutil

from benchmarks.figure import Figure
from benchmarks.http_load import Load, Pace, measure
from benchmarks.peer_environment import make_environment
from benchmarks.peer_rig import START_SECONDS, stop_trees
from benchmarks.rig import open_system
from tests.support.servers.server import free_port
from tests.support.system import ROOT

QUEUE_LIMIT = 1_000_000
ROUNDS = 5


@dataclass(frozen=True)
class Front:
    name: str
    port: int
    process: int

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of the front's only process so far."""
        times = psutil.Process(self.process).cpu_times()
        return float(times.user + times.system)


@contextmanager
def open_fronts(backends: str) -> Iterator[list[Front]]:
    """Start all fronts, ours first; an idle one uses next to no CPU time. Raises TimeoutError."""
    with open_system(backends, QUEUE_LIMIT) as system:
        gateway = system.start_gateway()
        with _started(_others(backends), system.environment) as others:
            yield [Front("hypercorn", system.port, gateway.pid), *others]


@contextmanager
def open_plain_fronts() -> Iterator[list[Front]]:
    """Start both servers with an application that returns a constant answer. Raises TimeoutError."""
    command = [sys.executable, "-m", "benchmarks.plain_server"]
    with _started(((name, [*command, name]) for name in ("hypercorn", "uvicorn")), {}) as fronts:
        yield fronts


def compare(name: str, fronts: Sequence[Front], load: Callable[[Front], Load]) -> Iterator[Figure]:
    """Yield rate, 99th percentile and CPU time of each front, and the ratio of our rate to each other one.

    The fronts take turns; `load` returns the load of one turn. The CPU time of a request tells more than the rate when
    other processes are busy as well.
    """
    turns: dict[str, list[_Turn]] = {front.name: [] for front in fronts}
    for number in range(-1, ROUNDS):  # the first turn warms up
        for front in fronts:
            turn = _turn(front, load(front))
            if number >= 0:
                turns[front.name].append(turn)
    for other, taken in turns.items():
        yield _median(f"{name}.{other}", "requests/s", [turn.pace.rate for turn in taken])
        yield _median(f"{name}.{other}.p99", "ms", [turn.pace.p99 for turn in taken])
        yield _median(f"{name}.{other}.cpu", "us a request", [turn.microseconds for turn in taken])
    ours, *others = turns
    for other in others:
        ratios = [one.pace.rate / two.pace.rate for one, two in zip(turns[ours], turns[other], strict=True)]
        yield _median(f"{name}.over-{other}", "ratio", ratios, ">= 1.0" if other == "fastapi" else "")


@dataclass(frozen=True)
class _Turn:
    pace: Pace
    microseconds: float  # of CPU time a request


def _turn(front: Front, load: Load) -> _Turn:
    before = front.cpu_seconds
    pace = measure(front.port, load)
    return _Turn(pace, 1e6 * (front.cpu_seconds - before) / len(load.requests))


def _median(name: str, unit: str, samples: Sequence[float], goal: str = "") -> Figure:
    return Figure.of(name, statistics.median(samples), unit, goal, samples)


def _others(backends: str) -> Iterator[tuple[str, list[str]]]:
    yield "uvicorn", [sys.executable, "-m", "benchmarks.uvicorn_gateway"]
    if backends == "distributed":
        served = "uvicorn benchmarks.peer_servers.fastapi_jobs:app --port {port} --no-access-log --log-level warning"
        yield "fastapi", [make_environment("taskiq"), "-m", *served.split()]


@contextmanager
def _started(commands: Iterable[tuple[str, list[str]]], environment: Mapping[str, str]) -> Iterator[list[Front]]:
    """Start each command on its own port. Raises TimeoutError when one does not listen."""
    fronts, processes = [], []
    try:
        for name, command in commands:
            port = free_port()
            processes.append(_start(command, port, environment))
            fronts.append(Front(name, port, processes[-1].pid))
        for front in fronts:
            _wait_until_it_listens(front.port)
        yield fronts
    finally:
        stop_trees(processes)


def _start(command: list[str], port: int, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    peers = {
        "PEER_BROKER_URL": environment.get("STUDIO_BROKER_URL", ""),
        "PEER_RESULTS_URL": environment.get("STUDIO_STATUSES_URL", ""),
    }
    return subprocess.Popen(
        [part.format(port=port) for part in command],
        cwd=ROOT,
        env={**inherited, **environment, **peers, "STUDIO_PORT": str(port)},
        stdin=subprocess.DEVNULL,
        stdout=sys.stderr,
        stderr=sys.stderr,
        start_new_session=True,
    )


def _wait_until_it_listens(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            HTTPConnection("127.0.0.1", port, timeout=5).connect()
        except OSError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"nothing listens on port {port}") from None
            time.sleep(0.1)
        else:
            return
