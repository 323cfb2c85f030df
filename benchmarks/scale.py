"""The rate of several workers over that of one, and a gateway with ten thousand queued jobs.

The workers' model sleeps 50 ms a call instead of computing, so that the cores are not the limit, and takes one job a
call. Jobs are queued first. With all workers ready, the jobs that end within equal spans of time are counted, and the
rate of several workers is divided by that of one. For the queue, eight clients submit jobs to a gateway on RabbitMQ and
Redis; the growth of its memory is measured from the first jobs on, and the rate of submits at the end is divided by the
rate at the beginning.
"""

import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path

import psutil

from benchmarks.figure import Figure
from benchmarks.memory import MEGABYTE, SETTLE_SECONDS, resident
from benchmarks.rig import BACKENDS, PROMPT, ask, open_system
from benchmarks.subject import Subject
from tests.support.system import System

WORKERS = (1, 2, 4)
SPAN_SECONDS = 4.0
SPANS = 5
START_SECONDS = 4.0  # a worker may take so long, while others work already
JOBS = 10_000
WARM_UP = 200
CLIENTS = 8
CATALOGUE = """
[models.sleeper]
title = "Sleeper"
modality = "txt2img"
adapter = "benchmarks.sleeper:Sleeper"
source = "."
default = true
defaults = { width = 64, height = 64, steps = 1 }
"""


def run() -> Iterator[Figure]:
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as name:
        catalogue = Path(name) / "models.toml"
        catalogue.write_text(CATALOGUE)
        for backends in BACKENDS:
            yield from _workers(backends, catalogue)
        with open_system("distributed", 2 * JOBS, Subject(catalogue)) as system:
            yield from _queue(system)


def _workers(backends: str, catalogue: Path) -> Iterator[Figure]:
    rates: dict[int, list[float]] = {}
    for count in WORKERS:
        with open_system(backends, 2 * JOBS, Subject(catalogue)) as system:
            system.start_gateway()
            rates[count] = _rates(system, count)
        rate = statistics.median(rates[count])
        yield Figure.of(f"scale.{backends}, {count} workers", rate, "jobs/s", "", rates[count])
    alone = statistics.median(rates[1])
    for count in WORKERS[1:]:
        over = [rate / alone / count for rate in rates[count]]
        name = f"scale.{backends}, {count} workers, each over one alone"
        yield Figure.of(name, statistics.median(over), "ratio", ">= 0.95", over)


def _rates(system: System, count: int) -> list[float]:
    """Return the jobs a second in each span, by the times in the records."""
    seconds = SPANS * SPAN_SECONDS + count * START_SECONDS
    _submit(system, int(20 * count * seconds))
    for _ in range(count):
        system.start_worker()
    begin = time.time()
    time.sleep(SPANS * SPAN_SECONDS + 0.5)
    spans = [0] * SPANS
    for moment in _ends(system):
        number = int((moment - begin) // SPAN_SECONDS)
        if 0 <= number < SPANS:
            spans[number] += 1
    return [jobs / SPAN_SECONDS for jobs in spans]


def _ends(system: System) -> Iterator[float]:
    """Yield the end of each ended job, in Unix seconds."""
    query: dict[str, str | int] = {"limit": 100}
    while query.get("cursor", "first"):
        page = system.client.get("/v1/jobs", params=query).json()
        for job in page["data"]:
            if job["finished_at"]:
                yield datetime.fromisoformat(job["finished_at"]).timestamp()
        query["cursor"] = page["next_cursor"]


def _queue(system: System) -> Iterator[Figure]:
    gateway = psutil.Process(system.start_gateway().pid)
    _submit(system, WARM_UP)
    time.sleep(SETTLE_SECONDS)
    before = resident(gateway)
    seconds: list[float] = []
    for _ in range(10):
        seconds.append(_submit(system, JOBS // 10))
        system.client.get("/v1/queue")  # a client reads the state of the queue
    time.sleep(SETTLE_SECONDS)
    grown = (resident(gateway) - before) / MEGABYTE
    yield Figure.of(f"scale.gateway, {JOBS} jobs queued", grown, "MB", "<= 20", [grown])
    rates = [JOBS / 10 / each for each in seconds]
    yield Figure.of("scale.submits", statistics.median(rates), "jobs/s", "", rates)
    end, begin = statistics.median(rates[-3:]), statistics.median(rates[:3])
    name = f"scale.submits, the last three of ten times {JOBS // 10} over the first three"
    yield Figure.of(name, end / begin, "ratio", ">= 0.9", [end / begin])


def _submit(system: System, count: int) -> float:
    """Submit `count` jobs and return the seconds taken."""
    begin = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda _: _some(system, count // CLIENTS), range(CLIENTS)))
    return time.perf_counter() - begin


def _some(system: System, count: int) -> None:
    with closing(HTTPConnection("127.0.0.1", system.port, timeout=30)) as client:
        for _ in range(count):
            ask(client, "POST", "/v1/jobs", {"prompt": PROMPT})
