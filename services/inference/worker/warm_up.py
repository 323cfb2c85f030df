"""The warm-up: a worker makes a sample before it is ready, so that its first job is as fast as the next ones."""

import asyncio
import time
from dataclasses import replace
from typing import Final

import structlog

from services.common.errors import DeadlineExceeded, DeviceFailed
from services.common.workload import steps_of
from services.inference.batching.timings import CallTimings
from services.inference.runtime.adapter import QUIET
from services.inference.runtime.executor import ModelExecutor

log = structlog.get_logger(__name__)

SAMPLE_SECONDS: Final = 5.0  # the most a whole sample may take; the first job of a slower model tells its pace


async def warm_up(executor: ModelExecutor, timings: CallTimings, deadline_seconds: float) -> None:
    """Make the adapter's sample in one step, to warm up the layers below, and then whole, to time it.

    Failures are logged: the first job will report the same. Raise DeadlineExceeded for a call that hangs, and
    DeviceFailed if no other call would succeed.
    """
    try:
        async with asyncio.timeout(deadline_seconds):
            await _make_sample(executor, timings)
    except TimeoutError as exc:
        raise DeadlineExceeded(f"warming up took longer than {deadline_seconds:g} seconds") from exc
    except DeviceFailed:
        raise
    except Exception:
        log.exception("warming up failed")


async def _make_sample(executor: ModelExecutor, timings: CallTimings) -> None:
    if (sample := executor.adapter.sample()) is None:
        return
    short = replace(sample, params=sample.params.model_copy(update={"steps": 1}))
    await executor.generate([short], QUIET)
    begin = time.perf_counter()
    await executor.generate([short], QUIET)
    if (time.perf_counter() - begin) * steps_of(sample.params.model_dump()) < SAMPLE_SECONDS:
        with timings.call([sample]):
            await executor.generate([sample], QUIET)
