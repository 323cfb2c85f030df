"""When a worker is ready: not before jobs can come, and not while they cannot."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.common.brokers.delivery import Delivery
from services.common.errors import ModelUnavailable
from services.inference.batching.served_model import ServedModel
from services.inference.runtime.executor import ModelExecutor
from services.inference.worker.consumer import prefetch_of
from services.inference.worker.health import Readiness
from services.inference.worker.worker import Worker
from services.inference.worker.worker_runtime import WorkerRuntime
from tests.support.models.served import loaded
from tests.support.models.stepping_adapter import SteppingAdapter

pytestmark = pytest.mark.anyio


class Patient:
    """A broker without publishers, where it takes as long as the test likes until a consumer is one."""

    def __init__(self) -> None:
        self.consuming: dict[str, asyncio.Event] = {}
        self.ended: set[str] = set()
        self._asked = asyncio.Condition()
        self._end = asyncio.Event()

    async def consume(self, model: str, prefetch: int, consuming: asyncio.Event) -> AsyncGenerator[Delivery, None]:
        async with self._asked:
            self.consuming[model] = consuming
            self._asked.notify_all()
        try:
            await asyncio.sleep(3600)
            yield cast("Delivery", None)
        finally:
            consuming.clear()
            self.ended.add(model)
            self._end.set()

    async def asked(self, *models: str) -> None:
        async with self._asked:
            await self._asked.wait_for(lambda: {*models} <= {*self.consuming})

    async def ends(self, model: str) -> None:
        while model not in self.ended:
            self._end.clear()
            await self._end.wait()

    async def ping(self, **_: Any) -> None:
        pass


def model(name: str) -> ServedModel:
    adapter = SteppingAdapter()
    adapter.model = adapter.model.model_copy(update={"name": name})
    return loaded(ModelExecutor(adapter))


@dataclass
class Consuming:
    """A worker of some models, over a broker without publishers."""

    models: dict[str, ServedModel]
    broker: Patient
    readiness: Readiness
    stop: asyncio.Event
    running: asyncio.Task[None]


@asynccontextmanager
async def consuming(*names: str) -> AsyncIterator[Consuming]:
    broker, readiness, stop = Patient(), Readiness(), asyncio.Event()
    models = {name: model(name) for name in names}
    runtimes = [
        SimpleNamespace(
            settings=SimpleNamespace(prefetch=1, grace_seconds=1),
            model=served.model,
            served=served,
            backends=SimpleNamespace(broker=broker, statuses=broker, objects=broker),
            readiness=readiness,
            metrics=served.metrics,
            announcer=SimpleNamespace(serve=lambda *_: None, drain=lambda: None),
            batcher=SimpleNamespace(lost=asyncio.Event(), loss=None, busy=False),
        )
        for served in models.values()
    ]
    assert await readiness.missing() == ["model"]
    worker = Worker(cast("Sequence[WorkerRuntime]", runtimes))
    async with asyncio.timeout(10):
        running = asyncio.create_task(worker.run(stop, asyncio.Event()))
        await broker.asked(*names)
        yield Consuming(models, broker, readiness, stop, running)


async def test_worker_is_ready_while_it_consumes() -> None:
    """Alive, with the model loaded and every backend answering, but without a consumer, it is not ready."""
    async with consuming("m") as worker:
        assert await worker.readiness.missing() == ["consumer"]
        worker.broker.consuming["m"].set()
        assert await worker.readiness.missing() == []
        worker.broker.consuming["m"].clear()
        assert await worker.readiness.missing() == ["consumer"]
        worker.stop.set()
        await worker.running


async def test_worker_of_several_models() -> None:
    """It is ready while it consumes the queue of each of its models, and tells of each whether it is loaded."""
    async with consuming("a", "b") as worker:
        worker.broker.consuming["a"].set()
        assert await worker.readiness.missing() == ["consumer"]
        worker.broker.consuming["b"].set()
        assert await worker.readiness.missing() == []
        worker.models["b"].loaded = False
        assert worker.readiness.states() == {"a": "loaded", "b": "unloaded"}
        worker.models["b"].loading = True
        assert worker.readiness.states()["b"] == "loading"
        worker.stop.set()
        await worker.running
        assert worker.broker.ended == {"a", "b"}


@pytest.mark.parametrize(
    ("setting", "batches", "held"),
    [
        (None, [16], [32]),
        (None, [16, 4], [16, 4]),
        (None, [4] * 20, [1] * 20),
        (10, [16, 4], [5, 5]),
        (1, [4, 4], [1, 1]),
    ],
)
def test_prefetch_is_shared(setting: int | None, batches: list[int], held: list[int]) -> None:
    """Together the models of a worker hold no more of a lane than the one with the largest batch would, or one each."""
    found = [prefetch_of(setting, max_batch, among=len(batches)) for max_batch in batches]
    assert found == held
    assert sum(found) <= max(setting or 2 * max(batches), len(batches))


async def test_model_that_cannot_be_loaded_stops_no_other() -> None:
    """Its queue is consumed no more, the worker stays ready for the others, and leaves once none is left."""
    async with consuming("a", "b") as worker:
        for event in worker.broker.consuming.values():
            event.set()
        worker.models["b"].fail(ModelUnavailable("no weights for b"))
        await worker.broker.ends("b")
        assert await worker.readiness.missing() == []
        assert worker.readiness.states() == {"a": "loaded", "b": "unavailable"}
        worker.models["a"].fail(ModelUnavailable("no weights for a"))
        with pytest.raises(ModelUnavailable, match="no weights"):
            await worker.running
        assert await worker.readiness.missing() == ["model"]
