"""Models that are loaded and unloaded on a GPU: its memory comes back, and another process may have it."""

from functools import partial

import pytest
import torch

from services.inference.adapters.txt2img import Txt2Img
from services.inference.batching.model_memory import ModelMemory
from services.inference.batching.served_model import ServedModel
from services.inference.job.metrics import Metrics
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.memory import used_bytes, usual_limit
from services.inference.runtime.model_thread import ModelThread
from services.inference.runtime.sources import resolve_source
from tests.support.models.cuda_model import MODELS, draw, items, shipped
from tests.support.models.served import ready

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.gpu,
    pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning"),
]


def executor(name: str, thread: ModelThread) -> ModelExecutor:
    model = shipped().model_copy(update={"name": name})
    source = resolve_source(model, catalogue_folder=MODELS)
    return ModelExecutor(Txt2Img(model, source), device="cuda", thread=thread)


async def test_memory_comes_back() -> None:
    """With memory for one of two models, each load finds as much of the GPU free as the first one."""
    thread, metrics = ModelThread(), Metrics()
    models = [
        ServedModel(shipped().model_copy(update={"name": name}), partial(executor, name, thread), metrics.of(name))
        for name in ("one", "two")
    ]
    memory = ModelMemory(models, thread, ready, limit=1)
    try:
        held: list[int] = []
        for turn in range(6):
            model = models[turn % 2]
            await memory.load(model)
            await draw(model.executor, *items(1))
            assert [each.loaded for each in models] == [each is model for each in models]
            assert used_bytes() == torch.cuda.memory_allocated()
            held.append(used_bytes())
        await memory.close()
        assert 0 < usual_limit() < torch.cuda.get_device_properties(0).total_memory
        assert used_bytes() < 0.1 * held[0]
        assert torch.cuda.memory_reserved() < 2 * held[0]
    finally:
        thread.close()
    assert max(held) == pytest.approx(held[0], rel=0.1)
