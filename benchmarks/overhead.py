"""What the system adds to a lone job beyond the bare pipeline call: everything a client sees, polling every 5 ms.

Both use half of the cores, so that a client and a gateway that are awake every 5 ms do not slow the very call they
wait for: that would measure how small the machine is. The placeholder draws noise, which is the hardest thing to
encode as PNG; the two sizes show how much of the figure that is.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.rig import BACKENDS, CORES, PROMPT, BarePipeline, open_system
from tests.system import System

JOBS = 40
WARM_UP = 5
SIDES = (256, 128)
POLL_SECONDS = 0.005
GOALS = {"embedded": "<= 15", "distributed": "<= 30"}


def run() -> Iterator[Figure]:
    """A figure per kind of backends and size; bare calls and jobs take turns in one run."""
    for backends in BACKENDS:
        with open_system(backends) as system:
            system.start_gateway()
            system.start_worker(workers="2")  # as if two shared the machine: each gets half of the cores
            yield from asyncio.run(_figures(system, backends))


async def _figures(system: System, backends: str) -> list[Figure]:
    bare = BarePipeline(system.folder / "data", threads=max(1, CORES // 2))
    await bare.executor.load()
    figures = []
    for side in SIDES:
        calls, jobs = await _measure(system, bare, side)
        call = statistics.median(calls) * 1000
        added = [(job - bare_call) * 1000 for job, bare_call in zip(jobs, calls, strict=True)]
        name = f"overhead.{backends} ({bare.model.name} {side}x{side}, {call:.0f} ms a call)"
        figures.append(Figure.of(name, statistics.median(jobs) * 1000 - call, "ms", GOALS[backends], added))
    await bare.executor.close()
    return figures


async def _measure(system: System, bare: BarePipeline, side: int) -> tuple[list[float], list[float]]:
    calls: list[float] = []
    jobs: list[float] = []
    for seed in range(WARM_UP + JOBS):
        calls.append(await bare.seconds(seed, width=side, height=side))
        jobs.append(await asyncio.to_thread(_job_seconds, system, seed, side))
    return calls[WARM_UP:], jobs[WARM_UP:]


def _job_seconds(system: System, seed: int, side: int) -> float:
    begin = time.perf_counter()
    job = system.submit(PROMPT, seed=seed, width=side, height=side)
    while job["state"] in ("queued", "running"):
        time.sleep(POLL_SECONDS)
        job = system.client.get(job["links"]["self"]).json()
    seconds = time.perf_counter() - begin
    if job["state"] != "succeeded":
        raise RuntimeError(f"job {job['state']}: {job['error']}")
    return seconds
