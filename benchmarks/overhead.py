"""What the system adds to a lone job beyond the bare pipeline call: everything a client sees, polling every 5 ms.

Both use half of the cores, so that a client and a gateway that are awake every 5 ms do not slow the very call they
wait for: that would measure how small the machine is.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator

from benchmarks.figure import Figure
from benchmarks.rig import BACKENDS, CORES, PROMPT, BarePipeline, open_system
from tests.system import System

JOBS = 40
POLL_SECONDS = 0.005
GOALS = {"embedded": "<= 15", "distributed": "<= 30"}


def run() -> Iterator[Figure]:
    """One figure per kind of backends; bare calls and jobs take turns in one run."""
    for backends in BACKENDS:
        with open_system(backends) as system:
            system.start_gateway()
            system.start_worker(workers="2")  # as if two shared the machine: each gets half of the cores
            pipeline, bare, jobs = asyncio.run(_measure(system))
            added = [(job - call) * 1000 for job, call in zip(jobs, bare, strict=True)]
            value = (statistics.median(jobs) - statistics.median(bare)) * 1000
            name = f"overhead.{backends} ({pipeline}, {statistics.median(bare) * 1000:.0f} ms a call)"
            yield Figure.of(name, value, "ms", GOALS[backends], added)


async def _measure(system: System) -> tuple[str, list[float], list[float]]:
    bare = BarePipeline(system.folder / "data", threads=max(1, CORES // 2))
    await bare.executor.load()
    calls: list[float] = []
    jobs: list[float] = []
    for number in range(-5, JOBS):  # the first ones warm up and do not count
        call = await bare.seconds(abs(number))
        job = await asyncio.to_thread(_job_seconds, system, abs(number))
        if number >= 0:
            calls.append(call)
            jobs.append(job)
    await bare.executor.close()
    return bare.model.name, calls, jobs


def _job_seconds(system: System, seed: int) -> float:
    begin = time.perf_counter()
    job = system.submit(PROMPT, seed=seed)
    while job["state"] in ("queued", "running"):
        time.sleep(POLL_SECONDS)
        job = system.client.get(job["links"]["self"]).json()
    seconds = time.perf_counter() - begin
    if job["state"] != "succeeded":
        raise RuntimeError(f"job {job['state']}: {job['error']}")
    return seconds
