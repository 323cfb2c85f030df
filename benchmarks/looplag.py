"""The delay of the worker's event loop while its model thread generates. The worker runs in this process."""

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Iterator
from unittest.mock import patch

import uvloop

from benchmarks.figure import Figure
from benchmarks.rig import PROMPT, finished, open_system
from benchmarks.subject import SHIPPED
from services.cli.serve.worker import run_worker
from services.common.settings import Settings
from tests.support.system import System

JOBS = 40
TICK_SECONDS = 0.002


def run() -> Iterator[Figure]:
    """Yield the 99th percentile of the delay beyond a 2 ms sleep, and the worst delay for information."""
    with open_system("embedded") as system:
        system.start_gateway()
        with patch.dict(os.environ, system.environment, clear=True):
            settings = Settings()
        lags = uvloop.run(_measure(system, settings))
    p99 = statistics.quantiles(lags, n=100)[98]
    yield Figure.of("looplag.p99", p99, "ms", "<= 5", lags)
    yield Figure.of("looplag.worst", max(lags), "ms", "", lags)


async def _measure(system: System, settings: Settings) -> list[float]:
    models = SHIPPED.catalogue
    worker = asyncio.create_task(run_worker(settings, models, [models.default_model], attended=False))
    await asyncio.to_thread(_do_jobs, system, 5)
    lags: list[float] = []
    sampler = asyncio.create_task(sample_lag(lags))
    await asyncio.to_thread(_do_jobs, system, JOBS)
    sampler.cancel()
    os.kill(os.getpid(), signal.SIGTERM)
    await worker
    return lags


async def sample_lag(lags: list[float]) -> None:
    """Add the milliseconds by which each short sleep was too long, until cancelled."""
    while True:
        begin = time.perf_counter()
        await asyncio.sleep(TICK_SECONDS)
        lags.append((time.perf_counter() - begin - TICK_SECONDS) * 1000)


def _do_jobs(system: System, count: int) -> None:
    ids = [system.submit(PROMPT, seed=seed)["id"] for seed in range(count)]
    finished(system, ids)
