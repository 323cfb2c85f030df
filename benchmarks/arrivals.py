"""The waiting time of jobs that arrive at random (a Poisson process) at a share of the system's capacity.

The capacity is measured first, with a full queue. The waiting time lasts from the acceptance of a job to the begin of
its call, by the times in its record.
"""

import random
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from benchmarks.figure import Figure
from benchmarks.rig import PROMPT, finished, open_system, seconds_between
from benchmarks.subject import SHIPPED
from tests.support.system import System

SHARES = (0.50, 0.80, 0.95)
SECONDS = 30.0  # of arrivals at each share
BURST = 40  # jobs that measure the capacity
CLIENTS = 16


def run() -> Iterator[Figure]:
    """Yield the capacity in images/s, then the median and the 95th percentile of the wait at each share of it."""
    model = SHIPPED.model
    with open_system("embedded") as system:
        system.start_gateway()
        system.start_worker()
        _capacity(system)  # warms up
        capacities = [_capacity(system) for _ in range(3)]
        capacity = statistics.median(capacities)
        yield Figure.of(f"arrivals.capacity ({model.name})", capacity, "images/s", "", capacities)
        for share in SHARES:
            waits = _waits(system, share * capacity)
            percentiles = statistics.quantiles(waits, n=20)
            name = f"arrivals.{share:.0%}"
            yield Figure.of(f"{name}.p50", statistics.median(waits), "s", "", waits)
            yield Figure.of(f"{name}.p95", percentiles[18], "s", "", waits)


def _capacity(system: System) -> float:
    jobs = finished(system, [system.submit(PROMPT, seed=seed)["id"] for seed in range(BURST)])
    return BURST / seconds_between(jobs, "started_at", "finished_at")


def _waits(system: System, rate: float) -> list[float]:
    """Return the waits of jobs sent at their due times, even if earlier requests are still unanswered."""
    chance = random.Random(1)  # noqa: S311 - arrivals, no secrets
    sent: list[Future[dict[str, Any]]] = []
    with ThreadPoolExecutor(CLIENTS) as clients:
        due = begin = time.perf_counter()
        while due < begin + SECONDS:
            time.sleep(max(0.0, due - time.perf_counter()))
            sent.append(clients.submit(system.submit, PROMPT, seed=len(sent)))
            due += chance.expovariate(rate)
    jobs = finished(system, [future.result()["id"] for future in sent])
    return [seconds_between([job], "created_at", "started_at") for job in jobs]
