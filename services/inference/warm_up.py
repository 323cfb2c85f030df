"""What a worker makes before it is ready, so that its first job is not slower than the next and can be foretold."""

import time
from dataclasses import replace
from typing import Final

import structlog

from services.common.workload import steps_of
from services.inference.adapter import Context
from services.inference.executor import ModelExecutor
from services.inference.rhythm import Rhythm

log = structlog.get_logger(__name__)

PATIENCE_SECONDS: Final = 5.0  # for the second call; a slow model's first job will tell how long it takes


async def warm_up(executor: ModelExecutor, rhythm: Rhythm) -> None:
    """Make the adapter's sample in one step, for what lies below to warm up, then whole, to see how long it takes.

    What goes wrong here is logged: the first job will say the same.
    """
    sample = executor.adapter.sample()
    if sample is None:
        return
    context = Context(progress=lambda *_: None, cancelled=lambda _job_id: False)
    try:
        short = replace(sample, params=sample.params.model_copy(update={"steps": 1}))
        await executor.generate([short], context)
        begin = time.perf_counter()
        await executor.generate([short], context)
        if (time.perf_counter() - begin) * steps_of(sample.params.model_dump()) < PATIENCE_SECONDS:
            with rhythm.call([sample]):
                await executor.generate([sample], context)
    except Exception:
        log.exception("warming up failed")
