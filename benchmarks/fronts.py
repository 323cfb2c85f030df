"""What `polls` and `submit` compare: our gateway behind either server, and FastAPI with taskiq. No worker runs."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection

from benchmarks.figure import Figure
from benchmarks.http_load import Load, Pace, measure
from benchmarks.peer_rig import START_SECONDS, make_environment, stop_trees
from benchmarks.rig import open_system
from tests.servers.server import free_port
from tests.system import ROOT, System

QUEUE_LIMIT = 1_000_000
ROUNDS = 5


@dataclass(frozen=True)
class Front:
    name: str
    port: int


@contextmanager
def open_fronts(backends: str) -> Iterator[list[Front]]:
    """Ours first. All of them run at once; who is not being asked does next to nothing. Raises TimeoutError."""
    with open_system(backends, QUEUE_LIMIT) as system:
        system.start_gateway()
        fronts, processes = [Front("hypercorn", system.port)], []
        try:
            for name, command in _others(backends):
                front = Front(name, free_port())
                processes.append(_start(command, front.port, system))
                fronts.append(front)
            for front in fronts:
                _wait_until_it_listens(front.port)
            yield fronts
        finally:
            stop_trees(processes)


def compare(name: str, fronts: Sequence[Front], load: Callable[[Front], Load]) -> Iterator[Figure]:
    """Rate and 99th percentile of each front, which take turns, and ours over the others'. `load` makes one turn's."""
    paces: dict[str, list[Pace]] = {front.name: [] for front in fronts}
    for number in range(-1, ROUNDS):  # the first warms up
        for front in fronts:
            pace = measure(front.port, load(front))
            if number >= 0:
                paces[front.name].append(pace)
    for other, turns in paces.items():
        rates, slowest = [turn.rate for turn in turns], [turn.p99 for turn in turns]
        yield Figure.of(f"{name}.{other}", statistics.median(rates), "requests/s", "", rates)
        yield Figure.of(f"{name}.{other}.p99", statistics.median(slowest), "ms", "", slowest)
    ours, *others = paces
    for other in others:
        ratios = [one.rate / two.rate for one, two in zip(paces[ours], paces[other], strict=True)]
        goal = ">= 1.0" if other == "fastapi" else ""
        yield Figure.of(f"{name}.over-{other}", statistics.median(ratios), "ratio", goal, ratios)


def _others(backends: str) -> Iterator[tuple[str, list[str]]]:
    yield "uvicorn", [sys.executable, "-m", "benchmarks.uvicorn_gateway"]
    if backends == "distributed":
        served = "uvicorn benchmarks.peer_servers.fastapi_jobs:app --port {port} --no-access-log --log-level warning"
        yield "fastapi", [make_environment("taskiq"), "-m", *served.split()]


def _start(command: list[str], port: int, system: System) -> subprocess.Popen[bytes]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")},
        **system.environment,
        "STUDIO_PORT": str(port),
        "PEER_BROKER_URL": system.environment["STUDIO_BROKER_URL"],
        "PEER_RESULTS_URL": system.environment["STUDIO_STATUSES_URL"],
    }
    return subprocess.Popen(
        [part.format(port=port) for part in command],
        cwd=ROOT,
        env=environment,
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
