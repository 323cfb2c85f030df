"""The chart of the project this one descends from: ten requests at once, with 1, 2 and 4 workers on one device.

Its workers took one job at a time, each with all the cores and threads that wait as their library has it by default; so
do ours with that setting and jobs that ask for a call of their own (`strict`). The other bar is one worker as it is
started by default. All of them run all the time, idle but for their own turn, on backends of their own.
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
CROWDS = (1, 2, 4)  # workers of the seed's kind
DEFAULT_SPINS = {"GOMP_SPINCOUNT": "300000"}  # libgomp's own: ours set less, see services/inference/diffusers/openmp.py


def run(subject: Subject, rounds: int) -> Iterator[Figure]:
    """Images a second of every bar, and how much faster batching is than the best of the others."""
    model = subject.model
    label = f"{model.name} {subject.size}, {model.defaults['steps']} steps"
    with ExitStack() as stack:
        bars = {f"one at a time, {count} workers": _one_at_a_time(stack, subject, count) for count in CROWDS}
        bars["batching, 1 worker"] = ours = stack.enter_context(open_system("embedded", subject=subject))
        ours.start_gateway()
        ours.start_worker()
        seconds: dict[str, list[float]] = {name: [] for name in bars}
        for number in range(-1, rounds):  # the first warms up
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
    system.environment.update(DEFAULT_SPINS)
    system.start_gateway()
    with ThreadPoolExecutor(workers) as starting:  # each takes seconds to load the model
        list(starting.map(lambda _: system.start_worker(prefetch="1"), range(workers)))
    return system


def _ten_at_once(system: System, number: int, *, alone: bool) -> float:
    """Seconds from the acceptance of the first to the end of the last, by the records' own times."""
    seeds = [(REQUESTS * number + index) % 2**32 for index in range(REQUESTS)]
    asked = {"reproducibility": "strict"} if alone else {}
    with ThreadPoolExecutor(REQUESTS) as clients:
        ids = list(clients.map(lambda seed: system.submit(PROMPT, seed=seed, **asked)["id"], seeds))
    return seconds_between(finished(system, ids), "created_at", "finished_at")
