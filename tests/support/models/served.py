"""Models as a worker serves them, without a worker around them."""

from services.inference.batching.batcher import Batcher
from services.inference.batching.model_memory import ModelMemory
from services.inference.batching.served_model import ServedModel
from services.inference.batching.window import WINDOW_SECONDS
from services.inference.job.metrics import Metrics
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.model_thread import ModelThread


def loaded(executor: ModelExecutor, metrics: Metrics | None = None) -> ServedModel:
    """Return a model that is loaded already, in the thread of its executor."""
    model = executor.adapter.model
    served = ServedModel(model, lambda: executor, (metrics or Metrics()).of(model.name))
    served.loaded = True
    return served


async def ready(_model: ServedModel) -> None:
    """Prepare nothing."""


def batcher_of(*models: ServedModel, deadline_seconds: float = 60, window_seconds: float = WINDOW_SECONDS) -> Batcher:
    """Return a batcher for models of which none has to be loaded."""
    memory = ModelMemory(models, ModelThread(), ready)
    return Batcher(memory, deadline_seconds=deadline_seconds, window_seconds=window_seconds)
