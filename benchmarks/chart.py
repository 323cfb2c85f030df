"""Ten requests at once to 1, 2 and 4 workers on one device, as in the chart of this project's predecessor.

The predecessor's workers took one job at a time, each with all cores. Our workers do the same with jobs that demand
their own call (`strict`). The other bar is one worker with default settings. All systems run all the time, each on its
own backends, and are idle except for their turns.
"""

import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from benchmarks.figure import Figure
from benchmarks.rig import PROMPT, finished, open_system, seconds_between
from benchmarks.subject import Subject
from tests.support.system import System

REQUESTS = 10
ROUNDS = 5
WORKERS = (1, 2, 4)  # that take one job at a time


def run(subject: Subject, rounds: int) -> Iterator[Figure]:
    """Yield the images a second of every bar, and the ratio of batching to the best of the others."""
    model = subject.model
    label = f"{model.name} {subject.size}, {model.defaults['steps']} steps"
    with ExitStack() as stack:
        bars = {f"one at a time, {count} workers": _one_at_a_time(stack, subject, count) for count in WORKERS}
        bars["batching, 1 worker"] = ours = stack.enter_context(open_system("embedded", subject=subject))
        ours.start_gateway()
        ours.start_worker()
        seconds: dict[str, list[float]] = {name: [] for name in bars}
        for number in range(-1, rounds):  # the first round warms up
            for name, system in bars.items():
                taken = _ten_at_once(system, number, alone=system is not ours)
                if number >= 0:
                    seconds[name].append(taken)
    for name, own in seconds.items():
        rates = [REQUESTS / each for each in own]
        yield Figure.of(f"chart.{name} ({label})", statistics.median(rates), "images/s", "", rates)
    *others, batching = seconds.values()
    best = min(others, key=statistics.median)
    gains = [other / own for other, own in zip(best, batching, strict=True)]
    yield Figure.of(f"chart.gain ({label})", statistics.median(gains), "ratio", ">= 2.0", gains)


def _one_at_a_time(stack: ExitStack, subject: Subject, workers: int) -> System:
    system = stack.enter_context(open_system("embedded", subject=subject))
    system.start_gateway()
    with ThreadPoolExecutor(workers) as starting:  # each worker takes seconds to load the model
        list(starting.map(lambda _: system.start_worker(prefetch="1"), range(workers)))
    return system


def _ten_at_once(system: System, number: int, *, alone: bool) -> float:
    """Return the seconds from the first acceptance to the last end, by the times in the records."""
    seeds = [(REQUESTS * number + index) % 2**32 for index in range(REQUESTS)]
    asked = {"reproducibility": "strict"} if alone else {}
    with ThreadPoolExecutor(REQUESTS) as clients:
        ids = list(clients.map(lambda seed: system.submit(PROMPT, seed=seed, **asked)["id"], seeds))
    return seconds_between(finished(system, ids), "created_at", "finished_at")
