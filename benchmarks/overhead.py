"""The time that the system adds to a single job beyond the bare pipeline call, for a client that polls every 5 ms.

Job and bare call use half of the cores, so that client and gateway, awake every 5 ms, do not slow the call they wait
for: that would measure the size of the machine. Jobs and bare calls take turns. The value is the median of each job's
time less the mean of the calls right before and after it. On a shared machine the same call may take half as long
again a second later, which the difference of two medians would not cancel.
"""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from itertools import pairwise

from benchmarks.figure import Figure
from benchmarks.rig import BACKENDS, CORES, PROMPT, BarePipeline, ask, open_system
from benchmarks.subject import SHIPPED
from tests.support.system import System

JOBS = 40
WARM_UP = 5
STEPS = 3  # a call below 200 ms
POLL_SECONDS = 0.005
JOB_SECONDS = 60.0
GOALS = {"embedded": "<= 15", "distributed": "<= 30"}


def run() -> Iterator[Figure]:
    """Yield a figure for each kind of backends; bare calls and jobs take turns in one run."""
    for backends in BACKENDS:
        with open_system(backends) as system:
            system.start_gateway()
            system.start_worker(workers="2")  # the worker then uses half of the cores
            yield asyncio.run(_figure(system, backends))


async def _figure(system: System, backends: str) -> Figure:
    bare = BarePipeline(SHIPPED, threads=max(1, CORES // 2))
    await bare.executor.load()
    calls, jobs = await _measure(system, bare)
    await bare.executor.close()
    around = [(before + after) / 2 for before, after in pairwise(calls)]
    added = [(job - call) * 1000 for job, call in zip(jobs, around, strict=True)]
    name = f"overhead.{backends} ({bare.model.name} {STEPS} steps, {statistics.median(calls) * 1000:.0f} ms a call)"
    return Figure.of(name, statistics.median(added), "ms", GOALS[backends], added)


async def _measure(system: System, bare: BarePipeline) -> tuple[list[float], list[float]]:
    """Return the seconds of the bare calls, and those of the jobs between them, which are one fewer."""
    jobs: list[float] = []
    calls = [await bare.seconds(0, steps=STEPS)]
    with closing(HTTPConnection("127.0.0.1", system.port, timeout=JOB_SECONDS)) as client:
        for seed in range(WARM_UP + JOBS):
            jobs.append(await asyncio.to_thread(_job_seconds, client, seed))
            calls.append(await bare.seconds(seed, steps=STEPS))
    return calls[WARM_UP:], jobs[WARM_UP:]


def _job_seconds(client: HTTPConnection, seed: int) -> float:
    begin = time.perf_counter()
    job = ask(client, "POST", "/v1/jobs", {"prompt": PROMPT, "seed": seed, "steps": STEPS})
    while job["state"] in ("queued", "running"):
        if time.perf_counter() - begin > JOB_SECONDS:
            raise TimeoutError(f"job {job['id']} is still {job['state']} after {JOB_SECONDS:g} s")
        time.sleep(POLL_SECONDS)
        job = ask(client, "GET", f"/v1/jobs/{job['id']}")
    seconds = time.perf_counter() - begin
    if job["state"] != "succeeded":
        raise RuntimeError(f"job {job['state']}: {job['error']}")
    return seconds
