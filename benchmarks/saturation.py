"""Images a second of the whole system with 20 queued jobs, over the bare pipeline called in a loop."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from datetime import datetime

from benchmarks.figure import Figure
from benchmarks.rig import BACKENDS, CORES, PROMPT, BarePipeline, open_system, wait_for_job
from tests.system import System

JOBS = 20
ROUNDS = 5


def run() -> Iterator[Figure]:
    """One figure per kind of backends: the median ratio of rounds in which both take turns."""
    for backends in BACKENDS:
        with open_system(backends) as system:
            system.start_gateway()
            system.start_worker()
            ratios = asyncio.run(_measure(system))
            yield Figure.of(f"saturation.{backends}", statistics.median(ratios), "ratio", ">= 0.97", ratios)


async def _measure(system: System) -> list[float]:
    bare = BarePipeline(system.folder / "data", threads=CORES)
    await bare.executor.load()
    ratios = []
    for number in range(-1, ROUNDS):
        begin = time.perf_counter()
        for seed in range(JOBS):
            await bare.seconds(seed)
        calls = time.perf_counter() - begin
        jobs = await asyncio.to_thread(_system_seconds, system)
        if number >= 0:  # the first round warms up
            ratios.append(calls / jobs)
    await bare.executor.close()
    return ratios


def _system_seconds(system: System) -> float:
    """From the begin of the first job to the end of the last, by the records' own times."""
    ids = [system.submit(PROMPT, seed=seed)["id"] for seed in range(JOBS)]
    wait_for_job(system, ids[-1])
    done = [system.wait(job_id) for job_id in ids]
    if {job["state"] for job in done} != {"succeeded"}:
        raise RuntimeError("a job failed")
    begin = min(datetime.fromisoformat(job["started_at"]) for job in done)
    end = max(datetime.fromisoformat(job["finished_at"]) for job in done)
    return (end - begin).total_seconds()
