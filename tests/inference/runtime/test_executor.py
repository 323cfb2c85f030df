"""The model thread, with adapters that show where and how they are called."""

import asyncio
import gc
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar

import pytest
import structlog

from services.common.catalogue.catalogue import Model
from services.common.errors import DeviceFailed, ModelUnavailable, OutOfMemory
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.adapter import QUIET, Context, Item, ModelAdapter
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.outputs import Output
from services.inference.runtime.sources import Source
from tests.support.models.items import item, tiny_model
from tests.support.models.stepping_adapter import NamedOutput

pytestmark = pytest.mark.anyio

request: ContextVar[str] = ContextVar("request", default="none")


class Calls(ModelAdapter):
    """An adapter that does `work` in a call, and notes its calls and their threads."""

    modality = tiny_model().modality

    def __init__(self, work: Callable[[], object] = lambda: None) -> None:
        super().__init__(tiny_model(), Source("nowhere"))
        self._work = work
        self.calls: list[tuple[str, str]] = []
        self.threads: list[int] = []

    def prepare_thread(self, threads: int) -> None:
        self._note(f"prepare {threads}")

    def load(self, device: str) -> None:
        self._note(f"load {device}")

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        self._note("generate")
        self._work()
        return [NamedOutput("made") for _ in batch]

    def free_cache(self) -> None:
        self._note("free_cache")

    def close(self) -> None:
        self._note("close")

    def _note(self, what: str) -> None:
        self.calls.append((what, threading.current_thread().name.partition("_")[0]))
        self.threads.append(threading.get_ident())


@asynccontextmanager
async def executing(adapter: ModelAdapter) -> AsyncIterator[ModelExecutor]:
    async with ModelExecutor(adapter, device="cpu", threads=2) as executor:
        await executor.load()
        yield executor


async def test_one_thread_named_model() -> None:
    """Everything an adapter does, first of all its preparation, happens in one thread named model."""
    adapter = Calls()
    async with executing(adapter) as executor:
        for seed in range(3):
            await executor.generate([item(seed)], QUIET)
    steps = ["prepare 2", "load cpu", "generate", "generate", "generate", "close"]
    assert adapter.calls == [(step, "model") for step in steps]
    assert len(set(adapter.threads)) == 1
    assert threading.get_ident() not in adapter.threads


@pytest.mark.parametrize("threads", [1, 3])
async def test_thread_count(tiny: Model, threads: int) -> None:
    """The model thread computes with the given number of CPU threads, whatever other threads use."""
    import torch

    seen: list[int] = []

    class Counts(Txt2Img):
        def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
            seen.append(torch.get_num_threads())
            return super().generate(batch, context)

    async with ModelExecutor(Counts(tiny, Source(tiny.source)), threads=threads) as executor:
        await executor.load()
        await executor.generate([item(1)], QUIET)
    assert seen == [threads]


async def test_context_is_carried() -> None:
    """Each call sees the context variables of its caller in the model thread, the log's keys included."""
    seen: list[object] = []
    adapter = Calls(lambda: seen.extend((request.get(), structlog.contextvars.get_contextvars())))

    async def job(name: str) -> None:
        request.set(name)
        structlog.contextvars.bind_contextvars(job_id=name)
        await executor.generate([item(1)], QUIET)

    async with executing(adapter) as executor:
        await asyncio.gather(job("one"), job("two"))
    assert seen == ["one", {"job_id": "one"}, "two", {"job_id": "two"}]


async def test_the_same_exception_again() -> None:
    """An adapter that raises one exception object twice ends no coroutine that the first raise went through."""
    failure = RuntimeError("kept by the adapter")

    def fail() -> None:
        raise failure

    async def job() -> str:
        try:
            await executor.generate([item(1)], QUIET)
        except RuntimeError:
            await again.wait()  # in the traceback of the second raise, and not over
        return "went on"

    again = asyncio.Event()
    async with executing(Calls(fail)) as executor:
        first = asyncio.create_task(job())
        await asyncio.sleep(0.05)
        with pytest.raises(RuntimeError, match="kept"):
            await executor.generate([item(1)], QUIET)
        again.set()
        assert await first == "went on"


class Hang:
    """Return work that does not end before `go`."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self._begun = threading.Event()

    def __call__(self) -> None:
        self._begun.set()
        self.go.wait(60)

    async def begun(self) -> None:
        assert await asyncio.to_thread(self._begun.wait, 60)


class Tensor:
    """Something large, that a weak reference can watch."""


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore lines"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
        type("OutOfMemoryError", (RuntimeError,), {})("torch's own"),
        MemoryError(),
    ],
    ids=["cuda", "cpu", "torch", "python"],
)
async def test_out_of_memory(failure: Exception) -> None:
    """Running out of memory raises OutOfMemory, and no object of the call is alive when the cache is emptied."""
    tensors: list[weakref.ref[Tensor]] = []
    alive: list[bool] = []

    def work() -> None:
        tensor = Tensor()
        tensors.append(weakref.ref(tensor))
        raise type(failure)(*failure.args)

    class Watches(Calls):
        def free_cache(self) -> None:
            alive.append(tensors[0]() is not None)

    async with executing(Watches(work)) as executor:
        with pytest.raises(OutOfMemory) as caught:
            await executor.generate([item(1)], QUIET)
    assert alive == [False]
    assert "\n" not in str(caught.value)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


async def test_other_errors_keep_their_lines_but_no_tensors() -> None:
    """Any other exception arrives as it is, its traceback whole, and keeps no object of the call alive."""
    tensors: list[weakref.ref[Tensor]] = []

    def work() -> None:
        tensor = Tensor()
        tensors.append(weakref.ref(tensor))
        try:
            dict[str, int]()["inner"]
        except KeyError as exc:
            raise ValueError("outer") from exc

    async with executing(Calls(work)) as executor:
        with pytest.raises(ValueError, match="outer") as caught:
            await executor.generate([item(1)], QUIET)
    gc.collect()
    assert tensors[0]() is None
    assert "work" in [entry.name for entry in caught.traceback]
    assert isinstance(caught.value.__cause__, KeyError)


async def test_stop_iteration_arrives() -> None:
    """The one exception that a future refuses arrives as another, so that the caller does not wait forever."""
    async with executing(Calls(lambda: next(iter(())))) as executor:
        with pytest.raises(RuntimeError, match="StopIteration"):
            async with asyncio.timeout(10):
                await executor.generate([item(1)], QUIET)


async def test_failed_load_is_closed() -> None:
    """The adapter of a model that cannot be loaded is closed once."""

    class Broken(Calls):
        def load(self, device: str) -> None:
            raise ModelUnavailable("no weights")

    adapter = Broken()
    async with ModelExecutor(adapter, threads=2) as executor:
        with pytest.raises(ModelUnavailable, match="no weights"):
            await executor.load()
        await executor.close()
    assert adapter.calls == [("prepare 2", "model"), ("close", "model")]


async def test_model_that_does_not_fit() -> None:
    """A model that is too large for the memory is unavailable, and the sentence says why."""

    class Large(Calls):
        def load(self, device: str) -> None:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB.\nmore lines")

    async with ModelExecutor(Large(), device="cpu") as executor:
        with pytest.raises(ModelUnavailable, match=r"not fit on device 'cpu': CUDA out of memory\. Tried .* 20.00 GiB"):
            await executor.load()


async def test_cancelled_caller_leaves_the_thread_busy() -> None:
    """Cancelling a call frees its caller; `busy` stays true while the thread is at it, and later calls wait."""
    hang = Hang()
    async with executing(Calls(hang)) as executor:
        busy = [executor.busy]
        call = asyncio.create_task(executor.generate([item(1)], QUIET))
        await hang.begun()
        call.cancel()
        await asyncio.wait([call], timeout=5)
        busy.append(executor.busy)
        assert call.cancelled()
        waiting = asyncio.create_task(executor.generate([item(2)], QUIET))
        assert await asyncio.wait([waiting], timeout=0.1) == (set(), {waiting})
        hang.go.set()
        await waiting
        busy.append(executor.busy)
    assert busy == [False, True, False]


async def test_loop_answers_while_the_pipeline_runs(tiny: Model) -> None:
    """The event loop runs while images are drawn."""
    async with executing(Txt2Img(tiny, Source(tiny.source))) as executor:
        call = asyncio.create_task(executor.generate([item(1, width=256, steps=20)], QUIET))
        begin = last = time.perf_counter()
        gaps: list[float] = []
        while not call.done():
            await asyncio.sleep(0.001)
            now = time.perf_counter()
            gaps.append(now - last)
            last = now
        assert len(await call) == 1
    assert max(gaps) < (last - begin) / 2
    assert len(gaps) > 10


class AcceleratorError(RuntimeError):
    """As torch's, which is not imported for this."""


@pytest.mark.parametrize(
    "failure",
    [
        RuntimeError(
            "CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be reported later"
        ),
        RuntimeError("CUDA error: device-side assert triggered"),
        RuntimeError("HIP error: unspecified launch failure"),
        RuntimeError("cuDNN error: CUDNN_STATUS_EXECUTION_FAILED"),
        AcceleratorError("launch failed"),
    ],
)
async def test_failure_of_the_device_is_recognised(failure: RuntimeError) -> None:
    """An error after which the device fails in this process raises DeviceFailed, in one line."""

    def fail() -> None:
        raise failure

    async with executing(Calls(fail)) as executor:
        with pytest.raises(DeviceFailed) as caught:
            await executor.generate([item(1)], QUIET)
    assert str(caught.value) == f"the device failed: {str(failure).splitlines()[0]}"


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (RuntimeError("CUDA error: out of memory"), OutOfMemory),
        (AcceleratorError("CUDA out of memory. Tried to allocate 2.00 GiB"), OutOfMemory),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), OutOfMemory),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), OutOfMemory),
        (
            RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED. This error may appear if you passed in a"),
            RuntimeError,
        ),
        (RuntimeError("CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasLtMatmul(..)`"), RuntimeError),
        (RuntimeError("no CUDA error: at all"), RuntimeError),
        (ValueError("CUDA error: so it says"), ValueError),
    ],
)
async def test_other_failures_are_no_failure_of_the_device(failure: Exception, expected: type[Exception]) -> None:
    """Too little memory, and errors that only mention the device, are no failure of it."""

    def fail() -> None:
        raise failure

    async with executing(Calls(fail)) as executor:
        with pytest.raises(expected) as caught:
            await executor.generate([item(1)], QUIET)
    assert not isinstance(caught.value, DeviceFailed)
