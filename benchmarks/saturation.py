"""Images a second of the whole system with queued jobs, over the bare pipeline called in a loop with full batches.

Both may use all cores, so what the system does beside the model (encoding, storing, answering) takes time away from
it: about the same for every job, so its share shrinks as the calls get longer. Two lengths of a call show that.
A round of the system is compared with the mean of the bare rounds right before and after it: see `overhead`.
"""

import asyncio
import statistics
from collections.abc import Iterator
from itertools import pairwise

from benchmarks.figure import Figure
from benchmarks.rig import BACKENDS, CORES, PROMPT, BarePipeline, finished, open_system, seconds_between
from tests.system import System

JOBS = 32
ROUNDS = 3
STEPS = (8, 16)
AHEAD_STEPS = 50  # of a picture that is drawn alone while the jobs come together behind it


def run() -> Iterator[Figure]:
    """One figure per kind of backends and length of a call: the median ratio of the rounds."""
    for backends in BACKENDS:
        with open_system(backends) as system:
            system.start_gateway()
            system.start_worker()
            yield from asyncio.run(_figures(system, backends))


async def _figures(system: System, backends: str) -> list[Figure]:
    bare = BarePipeline(threads=CORES)
    await bare.executor.load()
    figures = []
    for steps in STEPS:
        await _loop_seconds(bare, steps)  # both warm up
        await asyncio.to_thread(_system_seconds, system, steps)
        loops, rounds = await _measure(system, bare, steps)
        around = [(before + after) / 2 for before, after in pairwise(loops)]
        ratios = [loop / taken for loop, taken in zip(around, rounds, strict=True)]
        size = bare.executor.adapter.max_batch
        call = statistics.median(loops) / (JOBS / size) * 1000
        name = f"saturation.{backends} ({bare.model.name} {steps} steps, batches of {size}, {call:.0f} ms a call)"
        figures.append(Figure.of(name, statistics.median(ratios), "ratio", ">= 0.97", ratios))
    await bare.executor.close()
    return figures


async def _measure(system: System, bare: BarePipeline, steps: int) -> tuple[list[float], list[float]]:
    """Seconds of the bare loops, and of the system's rounds between them: one less."""
    rounds: list[float] = []
    loops = [await _loop_seconds(bare, steps)]
    for _ in range(ROUNDS):
        rounds.append(await asyncio.to_thread(_system_seconds, system, steps))
        loops.append(await _loop_seconds(bare, steps))
    return loops, rounds


async def _loop_seconds(bare: BarePipeline, steps: int) -> float:
    size = bare.executor.adapter.max_batch
    seeds = range(JOBS)
    calls = [seeds[start : start + size] for start in range(0, JOBS, size)]
    return sum([await bare.seconds(*call, steps=steps) for call in calls])


def _system_seconds(system: System, steps: int) -> float:
    """From the begin of the first job to the end of the last, by the records' own times."""
    ahead = system.submit(PROMPT, steps=AHEAD_STEPS)
    ids = [system.submit(PROMPT, seed=seed, steps=steps)["id"] for seed in range(JOBS)]
    finished(system, [ahead["id"]])
    return seconds_between(finished(system, ids), "started_at", "finished_at")
