"""A GPU without memory for a call, and the gauge of its memory."""

import pytest
import torch

from services.common.errors import OutOfMemory
from services.inference.job.metrics import Metrics
from services.inference.runtime.executor import ModelExecutor
from tests.support.models.cuda_model import apart, draw, images, items, memory_left, open_executor
from tests.support.models.served import batcher_of, loaded
from tests.support.models.stepping_adapter import heartbeat_of_a_job

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning"),
]

SIDES = {"width": 192, "height": 192}


async def test_call_that_does_not_fit() -> None:
    """A call that runs out of memory raises OutOfMemory, and the next one draws the same image as before it."""
    batch = items(16, **SIDES)
    async with open_executor() as executor:
        (before,) = await draw(executor, batch[0])
        with memory_left(0), pytest.raises(OutOfMemory, match="not enough memory on the device"):
            await draw(executor, *batch)
        (after,) = await draw(executor, batch[0])
    assert before.tobytes() == after.tobytes()


async def test_batch_that_does_not_fit() -> None:
    """A batch that does not fit is made in smaller calls, and the size that fitted is remembered."""
    batch, metrics = items(16, **SIDES), Metrics()
    async with open_executor() as executor:
        alone = [(await draw(executor, item))[0] for item in batch[:2]]
        room = (await _needed(executor, 1) + await _needed(executor, 16)) // 2
        served = loaded(executor, metrics)
        batcher = batcher_of(served)
        async with batcher.running():
            with memory_left(room):
                async with batcher.request(served, batch, heartbeat_of_a_job(), redelivered=True) as request:
                    drawn = images(await request.outputs())
    assert len(drawn) == 16
    assert max(apart(*pair) for pair in zip(drawn, alone, strict=False)) <= 2
    assert (metrics.registry.get_sample_value("studio_pipeline_calls_total", {"model": served.name}) or 0) > 2


async def _needed(executor: ModelExecutor, size: int) -> int:
    """Return the bytes that a call for `size` images needs beyond those held between calls."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_reserved()
    await draw(executor, *items(size, **SIDES))
    return torch.cuda.max_memory_reserved() - before


async def test_gauge() -> None:
    """The metrics show the memory of the GPU, including what this process uses."""
    metrics = Metrics()
    async with open_executor() as executor:
        await draw(executor, *items(1))
        used, total = [
            metrics.registry.get_sample_value("studio_gpu_memory_bytes", {"gpu": "0", "kind": kind}) or 0
            for kind in ("used", "total")
        ]
        held = torch.cuda.memory_reserved()
    assert 0 < held < used < total
    assert total == pytest.approx(torch.cuda.get_device_properties(0).total_memory, rel=0.05)
