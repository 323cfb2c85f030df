"""The batcher with several models in one thread: a call is of one model, and a load is between two calls."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial

import pytest

from services.common.errors import DeadlineExceeded, DeviceFailed, HandedBack, ModelUnavailable, OutOfMemory
from services.inference.batching.batcher import Batcher
from services.inference.batching.model_memory import ModelMemory
from services.inference.batching.request import BatchRequest
from services.inference.batching.served_model import ServedModel
from services.inference.job.metrics import Metrics
from services.inference.runtime.adapter import Context, Item, ModelAdapter
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.model_thread import ModelThread
from services.inference.runtime.outputs import Output
from services.inference.runtime.sources import Source
from tests.support.models.items import tiny_model
from tests.support.models.served import ready
from tests.support.models.stepping_adapter import NamedOutput, heartbeat_of_a_job, items_of

pytestmark = pytest.mark.anyio


class Noting(ModelAdapter):
    """Notes in `told` what it does; `fault` may raise for what is told."""

    modality = tiny_model().modality
    max_batch = 4

    def __init__(self, name: str, told: list[str], fault: Callable[[str], None]) -> None:
        super().__init__(tiny_model().model_copy(update={"name": name}), Source("nowhere"))
        self._told = told
        self._fault = fault

    def load(self, device: str) -> None:
        self._tell(f"load {self.model.name}")

    def batch_key(self, item: Item) -> None:
        return None

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        self._tell(f"{self.model.name}: " + " ".join(f"{item.prompt}{item.index}" for item in batch))
        context.progress(1, 1)
        return [NamedOutput(item.prompt) for item in batch]

    def close(self) -> None:
        self._tell(f"close {self.model.name}")

    def _tell(self, what: str) -> None:
        self._told.append(what)
        self._fault(what)


class Rig:
    def __init__(self, batcher: Batcher, models: dict[str, ServedModel], told: list[str]) -> None:
        self.batcher, self.models, self.told = batcher, models, told

    def request(self, model: str, job: str, count: int = 1, **given: object) -> BatchRequest:
        return self.batcher.request(self.models[model], items_of(job, job, count, **given), heartbeat_of_a_job())

    async def make(self, model: str, job: str, count: int = 1, **given: object) -> int:
        """Make a job of so many items, and return how many outputs it got."""
        async with self.request(model, job, count, **given) as request:
            return len(await request.outputs())


@asynccontextmanager
async def rig(
    fault: Callable[[str], None] = lambda _what: None, limit: int = 10**18, deadline_seconds: float = 60
) -> AsyncIterator[Rig]:
    """Yield a batcher of the models `a`, which is loaded, and `b`, which is not. With `limit` 0 only one may be."""
    thread, metrics, told = ModelThread(), Metrics(), list[str]()

    def make(name: str) -> ModelExecutor:
        return ModelExecutor(Noting(name, told, fault), thread=thread)

    models = {name: ServedModel(make(name).adapter.model, partial(make, name), metrics.of(name)) for name in "ab"}
    memory = ModelMemory([*models.values()], thread, ready, limit=limit)
    async with AsyncExitStack() as stack:
        stack.callback(thread.close)
        await stack.enter_async_context(asyncio.timeout(20))
        await memory.load(models["a"])
        told.clear()
        batcher = Batcher(memory, deadline_seconds=deadline_seconds)
        await stack.enter_async_context(batcher.running())
        yield Rig(batcher, models, told)


def once(told: str, exc: Exception) -> Callable[[str], None]:
    """Return a fault that raises `exc` the first time that `told` is."""
    left = [exc]

    def fault(what: str) -> None:
        if what == told and left:
            raise left.pop()

    return fault


async def test_call_is_of_one_model() -> None:
    """Jobs of two models that wait together are made in a call each, the second after the load of its model."""
    async with rig() as jobs:
        made = [jobs.make(model, f"{model}{number}-") for number in range(2) for model in "ab"]
        assert await asyncio.gather(*made) == [1] * 4
        assert jobs.told == ["a: a0-0 a1-0", "load b", "b: b0-0 b1-0"]


async def test_models_take_turns() -> None:
    """Where one model fits, it is unloaded for the other, and loaded anew for its next job."""
    async with rig(limit=0) as jobs:
        for model in "bab":
            assert await jobs.make(model, model) == 1
        assert jobs.told == ["close a", "load b", "b: b0", "close b", "load a", "a: a0", "close a", "load b", "b: b0"]


async def test_job_begins_after_the_load() -> None:
    """A job is called once its model is loaded: while it loads there is no attempt to charge."""
    gate = asyncio.Event()
    async with rig() as jobs:
        loop = asyncio.get_running_loop()

        def fault(what: str) -> None:
            if what == "load b":
                asyncio.run_coroutine_threadsafe(gate.wait(), loop).result(10)

        jobs.models["b"].adapter._fault = fault  # type: ignore[attr-defined]
        waiting = asyncio.create_task(jobs.request("b", "b").__aenter__())
        while not jobs.models["b"].loading:
            await asyncio.sleep(0.005)
        assert jobs.batcher.busy
        assert not waiting.done()
        gate.set()
        request = await waiting
        request.withdraw()


async def test_model_that_cannot_be_loaded() -> None:
    """Its jobs go on waiting, uncalled, for the worker to hand them back, and jobs of the other model are made."""
    async with rig(once("load b", ValueError("damaged"))) as jobs:
        waiting = asyncio.create_task(jobs.make("b", "b"))
        await jobs.models["b"].failed.wait()
        assert await jobs.make("a", "a") == 1
        assert not waiting.done()
        assert "damaged" in str(jobs.models["b"].fault)
        assert jobs.told == ["load b", "close b", "a: a0"]
        waiting.cancel()


async def test_job_made_in_part_when_its_model_cannot_come_back() -> None:
    """A job whose model was unloaded between its calls, and cannot be loaded again, is handed back."""
    seen: list[str] = []

    def fault(what: str) -> None:
        seen.append(what)
        if what.startswith("a: large") and seen.count("close a") == 0:
            loop.call_soon_threadsafe(unload.set)
        if what == "load a" and "close a" in seen:
            raise ValueError("damaged meanwhile")

    loop, unload = asyncio.get_running_loop(), asyncio.Event()
    async with rig(fault, limit=0) as jobs:
        large = asyncio.create_task(jobs.make("a", "large", 4, reproducibility="strict"))
        await unload.wait()
        jobs.batcher._scheduler.load_ended(0, 0)
        for model in jobs.models.values():
            model.loaded = False  # as after a call that needed all the memory
        await jobs.models["a"].executor.close()
        with pytest.raises(HandedBack, match="damaged meanwhile"):
            await large
        assert isinstance(jobs.models["a"].fault, ModelUnavailable)
        assert await jobs.make("b", "b") == 1


async def test_call_that_needs_the_memory_of_others() -> None:
    """A call that runs out of memory beside other models is made again without them, whole."""
    async with rig(once("a: a0 a1", MemoryError("full"))) as jobs:
        assert await jobs.make("b", "b") == 1
        jobs.told.clear()
        assert await jobs.make("a", "a", 2) == 2
        assert jobs.told == ["a: a0 a1", "close b", "a: a0 a1"]
        assert await jobs.make("b", "b") == 1
        assert jobs.told[3:] == ["load b", "b: b0"]


async def test_call_that_does_not_fit_alone() -> None:
    """Without other models a call that runs out of memory is made in smaller ones, and fails as before."""

    def fault(what: str) -> None:
        if what.startswith("a: "):
            raise MemoryError("full")

    async with rig(fault) as jobs:
        with pytest.raises(OutOfMemory):
            await jobs.make("a", "a", 2)


async def test_batch_whose_model_was_unloaded_for_the_call_before() -> None:
    """A batch that began beside the end of a call that then needed its model's memory has that loaded again."""
    held = asyncio.Event()
    async with rig(once("a: a0", MemoryError("full, at the end of the call"))) as jobs:
        assert await jobs.make("b", "b") == 1
        jobs.told.clear()
        jobs.models["a"].adapter.generate = _ending_early(jobs, held)  # type: ignore[assignment,method-assign]
        assert await asyncio.gather(*(jobs.make(model, model) for model in "ab")) == [1, 1]
        assert jobs.told == ["a: a0", "close b", "a: a0", "load b", "b: b0"]


def _ending_early(jobs: Rig, held: asyncio.Event) -> Callable[[Sequence[Item], Context], Sequence[Output]]:
    """Return a call that tells of its last step first, and fails once the next batch has begun."""
    loop, adapter = asyncio.get_running_loop(), jobs.models["a"].adapter
    generate = type(adapter).generate

    async def begun() -> None:
        while any(request.state.name == "WAITING" for request in jobs.batcher._requests):
            await asyncio.sleep(0.005)
        held.set()

    def ending_early(batch: Sequence[Item], context: Context) -> Sequence[Output]:
        if not held.is_set():
            context.progress(1, 1)
            asyncio.run_coroutine_threadsafe(begun(), loop).result(10)
        return generate(adapter, batch, context)

    return ending_early


async def test_load_that_hangs() -> None:
    """A load that takes longer than a call may loses the model thread, and no job is charged for it."""
    gate = threading.Event()

    def fault(what: str) -> None:
        if what == "load b":
            gate.wait(10)

    async with rig(fault, deadline_seconds=0.2) as jobs:
        waiting = asyncio.create_task(jobs.make("b", "b"))
        await jobs.batcher.lost.wait()
        assert isinstance(jobs.batcher.loss, DeadlineExceeded)
        assert "to load b took longer than 0.2 seconds" in str(jobs.batcher.loss)
        assert not waiting.done()
        waiting.cancel()
        gate.set()


async def test_device_that_breaks_in_a_load() -> None:
    """A device that fails while a model is loaded loses the model thread, and no job is charged for it."""
    async with rig(once("load b", RuntimeError("CUDA error: unspecified launch failure"))) as jobs:
        waiting = asyncio.create_task(jobs.make("b", "b"))
        await jobs.batcher.lost.wait()
        assert isinstance(jobs.batcher.loss, DeviceFailed)
        assert not waiting.done()
        waiting.cancel()
