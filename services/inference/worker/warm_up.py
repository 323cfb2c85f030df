"""The warm-up: a worker makes a sample before it is ready, so that its first job is as fast as the next ones."""

import asyncio
import time
from contextlib import suppress
from dataclasses import replace
from typing import Final

import structlog

from services.common.errors import (
    Filtered,
    GenerationError,
    InvalidRequest,
    ModelUnavailable,
    OutOfMemory,
    ThreadLost,
)
from services.inference.batching.timings import CallTimings
from services.inference.runtime.adapter import QUIET, Item
from services.inference.runtime.device_errors import first_line
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.outputs import ImageOutput

log = structlog.get_logger(__name__)

SAMPLE_SECONDS: Final = 5.0  # the most a whole sample may take; the first job of a slower model tells its pace


async def warm_up(executor: ModelExecutor, timings: CallTimings, deadline_seconds: float) -> None:
    """Make the adapter's sample shortened, to warm up the layers below, and then whole, to time it.

    Raise ModelUnavailable for a model that cannot make it in time, because every job would fail likewise, and
    DeviceFailed if no other call would succeed.
    """
    try:
        async with asyncio.timeout(deadline_seconds):
            await _make_sample(executor, timings)
    except TimeoutError as exc:
        raise ModelUnavailable(
            f"{executor.adapter.model.name} did not make its own sample within {deadline_seconds:g} seconds: take a "
            "smaller model or a faster device, or raise STUDIO_JOB_DEADLINE_SECONDS"
        ) from exc
    except (ThreadLost, ModelUnavailable):
        raise
    except Exception as exc:
        if not isinstance(exc, GenerationError | InvalidRequest):
            log.debug("warming up failed", exc_info=True)
        name = executor.adapter.model.name
        raise ModelUnavailable(f"{name} cannot make its own sample: {_reason(exc, name)}") from exc


async def _make_sample(executor: ModelExecutor, timings: CallTimings) -> None:
    if (sample := executor.adapter.sample()) is None:
        return
    contract = executor.adapter.model.contract
    short = replace(sample, params=contract.shortened(sample.params))
    sample, short = (replace(each, cost=contract.cost(each.params.model_dump(), {})) for each in (sample, short))
    try:
        await _make(executor, short)
    except (ThreadLost, OutOfMemory):
        raise
    except Exception:
        if short == sample:
            raise
        await _make(executor, sample)  # to shorten it was our choice: some schedulers need more steps
        return
    begin = time.perf_counter()
    await executor.generate([short], QUIET)
    if (time.perf_counter() - begin) * sample.cost.units / short.cost.units < SAMPLE_SECONDS:
        with timings.call([sample]):
            await executor.generate([sample], QUIET)


async def _make(executor: ModelExecutor, item: Item) -> None:
    """Make one output and encode it. Raise whatever is wrong with it."""
    outputs = await executor.generate([item], QUIET)
    with suppress(Filtered):  # the checker looked at an image: the model works
        await asyncio.to_thread(outputs[0].encode, {})
    if isinstance(outputs[0], ImageOutput):
        asked = executor.adapter.model.contract.size(item.params.model_dump())
        await asyncio.to_thread(_check, outputs[0], asked)


def _check(output: ImageOutput, size: tuple[int, int] | None) -> None:
    """Raise InvalidRequest for another size than the one asked for, and GenerationError for an image of one colour."""
    made = output.image.size
    asked = size or made
    if made != asked:
        detail = f"the model makes {made[0]} x {made[1]} pixels where {asked[0]} x {asked[1]} are asked for"
        raise InvalidRequest([{"pointer": "/width" if made[0] != asked[0] else "/height", "detail": detail}])
    if output.image.convert("RGB").getcolors(1) is not None:
        raise GenerationError("all pixels of the image have one colour")


def _reason(exc: Exception, name: str) -> str:
    if isinstance(exc, OutOfMemory):
        return f"{exc}; free memory, or lower `defaults` of [models.{name}] in the catalogue"
    if isinstance(exc, InvalidRequest):
        return f"{exc}; change `defaults` or `limits` of [models.{name}] in the catalogue"
    cure = "its files or its adapter are damaged or do not fit together: install both again"
    if isinstance(exc, GenerationError):
        return f"{exc}; {cure}"
    return f"{type(exc).__name__}: {first_line(exc)}; {cure} (STUDIO_LOG_LEVEL=debug shows where)"
