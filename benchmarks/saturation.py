"""Images a second of the whole system with queued jobs, over the bare pipeline called in a loop with full batches.

Both may use all cores, so the work beside the model (encoding, storing, answering) takes time away from it. That time
is about the same for every job, so its share shrinks as calls get longer: two lengths of a call show that, and so does
a model of real size (`--models`).
A round of the system is compared with the mean of the bare rounds right before and after it, as in `overhead`.
"""

import asyncio
import statistics
from collections.abc import Iterator
from itertools import pairwise

from benchmarks.figure import Figure
from benchmarks.rig import BACKENDS, CORES, PROMPT, BarePipeline, finished, open_system, seconds_between
from benchmarks.subject import SHIPPED, Subject
from tests.support.system import System

JOBS = 32
ROUNDS = 3
AHEAD_STEPS = 50  # of an image that is generated alone while the jobs queue behind it


def run(subject: Subject, rounds: int) -> Iterator[Figure]:
    """Yield a figure for each kind of backends and length of a call: the median ratio of the rounds."""
    for backends in BACKENDS:
        with open_system(backends, subject=subject) as system:
            system.start_gateway()
            system.start_worker()
            yield from asyncio.run(_figures(system, backends, subject, rounds))


async def _figures(system: System, backends: str, subject: Subject, rounds: int) -> list[Figure]:
    bare = BarePipeline(subject, threads=CORES)
    await bare.executor.load()
    figures = []
    for steps in _lengths(subject):
        await _loop_seconds(bare, steps)  # both warm up
        await asyncio.to_thread(_system_seconds, system, steps)
        loops, taken = await _measure(system, bare, steps, rounds)
        around = [(before + after) / 2 for before, after in pairwise(loops)]
        ratios = [loop / own for loop, own in zip(around, taken, strict=True)]
        batch = bare.executor.adapter.max_batch
        call = f"batches of {batch}, {statistics.median(loops) / (JOBS / batch) * 1000:.0f} ms a call"
        name = f"saturation.{backends} ({bare.model.name} {subject.size}, {steps} steps, {call})"
        figures.append(Figure.of(name, statistics.median(ratios), "ratio", ">= 0.97", ratios))
    await bare.executor.close()
    return figures


def _lengths(subject: Subject) -> tuple[int, ...]:
    """Return the numbers of steps to measure; one is enough for a large model, whose calls are long anyway."""
    usual: int = subject.model.defaults["steps"]
    return (usual, 2 * usual) if subject == SHIPPED else (usual,)


async def _measure(system: System, bare: BarePipeline, steps: int, rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds of the bare loops, and those of the system's rounds between them, which are one fewer."""
    taken: list[float] = []
    loops = [await _loop_seconds(bare, steps)]
    for _ in range(rounds):
        taken.append(await asyncio.to_thread(_system_seconds, system, steps))
        loops.append(await _loop_seconds(bare, steps))
    return loops, taken


async def _loop_seconds(bare: BarePipeline, steps: int) -> float:
    size = bare.executor.adapter.max_batch
    seeds = range(JOBS)
    calls = [seeds[start : start + size] for start in range(0, JOBS, size)]
    return sum([await bare.seconds(*call, steps=steps) for call in calls])


def _system_seconds(system: System, steps: int) -> float:
    """Return the seconds from the begin of the first job to the end of the last, by the times in the records."""
    ahead = system.submit(PROMPT, steps=AHEAD_STEPS)
    ids = [system.submit(PROMPT, seed=seed, steps=steps)["id"] for seed in range(JOBS)]
    finished(system, [ahead["id"]])
    return seconds_between(finished(system, ids), "started_at", "finished_at")
