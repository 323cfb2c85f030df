"""The memory for models: which are unloaded for another, and that it comes back."""

import gc
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import psutil
import pytest

from services.common.catalogue.catalogue import Model
from services.common.errors import DeviceFailed, ModelUnavailable, OutOfMemory
from services.inference.adapters.txt2img import Txt2Img
from services.inference.batching.model_memory import ModelMemory
from services.inference.batching.served_model import ServedModel
from services.inference.job.metrics import Metrics
from services.inference.runtime.adapter import QUIET, Context, Item, ModelAdapter
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.memory import used_bytes
from services.inference.runtime.model_thread import ModelThread
from services.inference.runtime.outputs import Output
from services.inference.runtime.sources import Source
from tests.support.models.items import item, tiny_model
from tests.support.models.served import ready

pytestmark = pytest.mark.anyio

MEGABYTE = 1_000_000


@dataclass
class Device:
    """A device whose memory is counted, with the models that lie in it. `faults` are raised by loads, once each."""

    memory: int = 1000
    held: dict[str, int] = field(default_factory=dict)
    faults: dict[str, Exception] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    @property
    def used(self) -> int:
        return sum(self.held.values())


class Counted(ModelAdapter):
    """Takes as many bytes of the device as its name says after the first letter."""

    modality = tiny_model().modality

    def __init__(self, model: Model, device: Device) -> None:
        super().__init__(model, Source("nowhere"))
        self._device = device

    def load(self, device: str) -> None:
        if fault := self._device.faults.pop(self.model.name, None):
            raise fault
        if self._device.used + self.size > self._device.memory:
            raise MemoryError("no room")
        self._device.held[self.model.name] = self.size
        self._device.told.append(f"+{self.model.name}")

    @property
    def size(self) -> int:
        return int(self.model.name[1:])

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        return []

    def close(self) -> None:
        if self._device.held.pop(self.model.name, 0):
            self._device.told.append(f"-{self.model.name}")


@asynccontextmanager
async def models(
    device: Device,
    *names: str,
    limit: int | None = None,
    files: Callable[[str], int] = lambda name: int(name[1:]),
    prepare: Callable[[ServedModel], Any] = ready,
) -> AsyncIterator[tuple[ModelMemory, list[ServedModel]]]:
    """Yield a memory of `limit` bytes and models that are not loaded. `files` tells the size of a model's files."""
    thread, metrics = ModelThread(), Metrics()

    def make(name: str) -> ModelExecutor:
        return ModelExecutor(Counted(tiny_model().model_copy(update={"name": name}), device), thread=thread)

    served = [ServedModel(make(name).adapter.model, partial(make, name), metrics.of(name)) for name in names]
    memory = ModelMemory(
        served, thread, prepare, limit=limit, size_of=lambda model: files(model.name), used=lambda: device.used
    )
    async with AsyncExitStack() as stack:
        stack.callback(thread.close)
        stack.push_async_callback(memory.close)
        yield memory, served


async def test_models_stay_loaded_while_they_fit() -> None:
    """A model that fits beside the others unloads none."""
    device = Device()
    async with models(device, "a100", "b200", "c300", limit=600) as (memory, served):
        for model in served:
            await memory.load(model)
            assert model.loaded
        assert device.told == ["+a100", "+b200", "+c300"]
        assert [model.size for model in served] == [100, 200, 300]
    assert device.used == 0, "a worker that leaves unloads all"


async def test_least_recently_used_is_unloaded() -> None:
    """For a model that does not fit beside the others those are unloaded that were not called for longest, before."""
    device = Device()
    async with models(device, "a100", "b200", "c300", limit=550) as (memory, (a, b, c)):
        await memory.load(a)
        await memory.load(b)
        a.used_at = b.used_at + 1  # it was called
        await memory.load(c)
        assert device.told == ["+a100", "+b200", "-b200", "+c300"]
        assert (a.loaded, b.loaded, c.loaded) == (True, False, True)
        c.used_at = a.used_at + 1
        await memory.load(b)
        assert (a.loaded, b.loaded, c.loaded) == (False, True, True), "its measured size is known by now"
        assert device.used <= 550


async def test_size_is_taken_from_the_files_before_it_is_measured() -> None:
    """A model that was never loaded has room made for the size of its files, and afterwards for what it takes."""
    device = Device()
    async with models(device, "a100", "b200", limit=250, files=lambda _name: 10) as (memory, (a, b)):
        await memory.load(a)
        await memory.load(b)
        assert device.told == ["+a100", "+b200", "-a100"], "more than its files told"
        device.told.clear()
        await memory.load(a)
        await memory.load(b)
        assert device.told == ["-b200", "+a100", "-a100", "+b200"]


async def test_model_that_is_larger_than_the_limit() -> None:
    """A model alone is loaded whatever the limit, since jobs for it can be made in no other way."""
    device = Device()
    async with models(device, "a100", "b900", limit=1) as (memory, (a, b)):
        await memory.load(a)
        await memory.load(b)
        assert device.told == ["+a100", "-a100", "+b900"]


async def test_device_that_is_full() -> None:
    """A load that runs out of memory beside other models is tried again without them."""
    device = Device(memory=350)
    async with models(device, "a100", "b200", "c300", limit=10_000) as (memory, (a, b, c)):
        await memory.load(a)
        await memory.load(b)
        await memory.load(c)
        assert device.told == ["+a100", "+b200", "-a100", "-b200", "+c300"]
        assert c.loaded


async def test_model_that_fits_nowhere() -> None:
    """A model that alone does not fit raises ModelUnavailable, holds nothing, and leaves the others usable."""
    device = Device(memory=350)
    async with models(device, "a100", "b400", limit=10_000) as (memory, (a, b)):
        await memory.load(a)
        with pytest.raises(ModelUnavailable, match="does not fit"):
            await memory.load(b)
        assert (b.loaded, b.loading, device.used) == (False, False, 0)
        await memory.load(a)
        assert device.told == ["+a100", "-a100", "+a100"]


async def test_sample_that_does_not_fit() -> None:
    """Where the sample of a loaded model runs out of memory beside others, it is made again without them."""
    device = Device()

    async def prepare(model: ServedModel) -> None:
        if model.name == "b200" and device.used > 200:
            raise ModelUnavailable("no sample") from OutOfMemory("beside a100")

    async with models(device, "a100", "b200", prepare=prepare) as (memory, (a, b)):
        await memory.load(a)
        await memory.load(b)
        assert device.told == ["+a100", "+b200", "-b200", "-a100", "+b200"]
        assert (a.loaded, b.loaded) == (False, True)


@pytest.mark.parametrize("fault", [ModelUnavailable("no weights"), ValueError("damaged")])
async def test_failed_load_unloads_no_other(fault: Exception) -> None:
    """A model that cannot be loaded for another reason than memory leaves the loaded ones where they are."""
    device = Device(faults={"b200": fault})
    async with models(device, "a100", "b200") as (memory, (a, b)):
        await memory.load(a)
        with pytest.raises(ModelUnavailable):
            await memory.load(b)
        assert device.told == ["+a100"]
        assert a.loaded


async def test_device_that_fails() -> None:
    """A device that breaks while a model is loaded ends the model thread, as in a call."""
    device = Device(faults={"b200": RuntimeError("CUDA error: an illegal memory access was encountered")})
    async with models(device, "a100", "b200") as (memory, (a, b)):
        await memory.load(a)
        with pytest.raises(DeviceFailed):
            await memory.load(b)


async def test_adapter_that_does_not_close() -> None:
    """An adapter that raises as it is closed keeps no other model from being loaded."""
    device = Device()
    async with models(device, "a100", "b200", limit=1) as (memory, (a, b)):
        await memory.load(a)

        def fail() -> None:
            device.held.clear()
            raise ValueError("closed twice, perhaps")

        a.adapter.close = fail  # type: ignore[method-assign]
        await memory.load(b)
        assert b.loaded


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


class Heavy(Txt2Img):
    """The real adapter, with 200 MB more in a cycle of objects, as hooks and caches of libraries make them."""

    def load(self, device: str) -> None:
        import torch

        super().load(device)
        module = torch.nn.Identity()
        module.register_buffer("weights", torch.ones(50_000_000))
        module.register_forward_pre_hook(lambda *_, kept=[module]: kept)
        self._heavy = module

    def close(self) -> None:
        del self._heavy
        super().close()


@pytest.mark.usefixtures("collecting")
@pytest.mark.parametrize("frozen", [False, True], ids=["", "exempt from garbage collection"])
async def test_memory_comes_back(tiny: Model, *, frozen: bool) -> None:
    """Loaded, called and unloaded again and again, a torch model leaves the process as large as after the first time.

    The worker exempts what it has loaded from garbage collection: a model in cycles must be found all the same.
    """
    thread = ModelThread()

    def make() -> ModelExecutor:
        return ModelExecutor(Heavy(tiny, Source(tiny.source)), device="cpu", thread=thread)

    served = ServedModel(tiny, make, Metrics().of("tiny"))
    memory = ModelMemory([served, served], thread, ready)
    after: list[int] = []
    try:
        for seed in range(4):
            await memory.load(served)
            await served.executor.generate([item(seed)], QUIET)
            loaded = resident()
            assert used_bytes() == pytest.approx(loaded, rel=0.05)
            if frozen:
                gc.freeze()
            await memory.close()
            after.append(resident())
            assert loaded - after[-1] > 150 * MEGABYTE
            assert (gc.get_freeze_count() > 0) == frozen
    finally:
        gc.unfreeze()
        thread.close()
    assert max(after[1:]) - after[0] < 20 * MEGABYTE
