"""The warm-up of a worker before its first job."""

import pytest

from services.common.catalogue import Model
from services.common.workload import size_of
from services.inference.adapters.txt2img import Txt2Img
from services.inference.batching.timings import CallTimings
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.sources import Source
from services.inference.worker import warm_up as module
from services.inference.worker.warm_up import warm_up

pytestmark = pytest.mark.anyio


async def test_first_job_can_be_foretold(tiny: Model) -> None:
    """A worker that has made nothing yet knows how long the model's usual picture takes."""
    timings = CallTimings()
    async with ModelExecutor(Txt2Img(tiny, Source(tiny.source)), device="cpu") as executor:
        await executor.load()
        await warm_up(executor, timings, 60)

    assert list(timings.paces) == [size_of(tiny.defaults)]


async def test_slow_model_is_not_kept_from_its_jobs(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model whose picture takes long makes one step of it and no more."""
    monkeypatch.setattr(module, "SAMPLE_SECONDS", 0.0)
    timings = CallTimings()
    async with ModelExecutor(Txt2Img(tiny, Source(tiny.source)), device="cpu") as executor:
        await executor.load()
        await warm_up(executor, timings, 60)

    assert not timings.paces
