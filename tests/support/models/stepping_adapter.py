"""A batcher over a real model thread, with an adapter that waits at every step until the test releases it."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

from services.common.modalities.images import Txt2ImgParams
from services.common.ports import Verdict
from services.inference.batching.batcher import Batcher
from services.inference.batching.request import BatchRequest
from services.inference.batching.served_model import ServedModel
from services.inference.batching.window import WINDOW_SECONDS
from services.inference.job.heartbeat import Heartbeat
from services.inference.job.lease import JobLease
from services.inference.job.metrics import Metrics
from services.inference.runtime.adapter import Cancelled, Context, Item, ModelAdapter
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.outputs import Encoded, Output
from services.inference.runtime.sources import Source
from tests.support.models.items import tiny_model
from tests.support.models.served import batcher_of, loaded

STEPS = 3


@dataclass(frozen=True)
class NamedOutput:
    """An output that names its item."""

    text: str

    def encode(self, metadata: dict[str, str]) -> Encoded:
        raise NotImplementedError


class SteppingAdapter(ModelAdapter):
    """Takes STEPS steps, each of which waits for `gate`, then calls `fault`. A call with `a` waits for `decoded`."""

    modality = tiny_model().modality
    max_batch = 4

    def __init__(
        self, fault: Callable[[list[str]], None] = lambda _names: None, decoded: threading.Event | None = None
    ) -> None:
        super().__init__(tiny_model(), Source("nowhere"))
        self.gate = threading.Semaphore(0)
        self.stopped = threading.Event()
        self.calls: list[list[str]] = []
        self._fault = fault
        self._decoded = decoded

    def load(self, device: str) -> None:
        pass

    def batch_key(self, item: Item) -> int | None:
        return cast("Txt2ImgParams", item.params).width

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        names = [f"{item.prompt}{item.seed}" for item in batch]
        self.calls.append(names)
        for step in range(STEPS):
            self.gate.acquire()
            if all(context.cancelled(item.job_id) for item in batch):
                self.stopped.set()
                raise Cancelled
            context.progress(step + 1, STEPS)
        self._fault(names)
        if self._decoded is not None and "a0" in names:
            self._decoded.wait(5)
        return [NamedOutput(name) for name in names if name != "dropped0"]

    def close(self) -> None:
        self.go()

    def go(self) -> None:
        """Release all further steps."""
        self.gate.release(1000)


class BatcherRig:
    """Submits jobs to the batcher as an attempt does, and keeps their heartbeats."""

    def __init__(self, adapter: SteppingAdapter, served: ServedModel, batcher: Batcher, metrics: Metrics) -> None:
        self.adapter = adapter
        self.served = served
        self.batcher = batcher
        self._metrics = metrics
        self.heartbeats: dict[str, Heartbeat] = {}
        self.begun: list[str] = []  # jobs, in the order their turns came

    def submit(
        self, name: str, job: str = "", *, count: int = 1, alone: bool = False, bulk: bool = False, **given: object
    ) -> asyncio.Task[list[str]]:
        """Submit a job of `count` items; `name` is its prompt, and its id unless `job` is given."""
        job_id = job or name
        heartbeat = self.heartbeats[job_id] = heartbeat_of_a_job()
        items = items_of(name, job_id, count, **given)
        return asyncio.create_task(
            self._hold(job_id, self.batcher.request(self.served, items, heartbeat, redelivered=alone, bulk=bulk))
        )

    async def refuse(self, name: str, hold: asyncio.Event | None = None) -> None:
        """Submit a job that turns out to have ended when its turn comes, or once `hold` is set."""
        async with self.batcher.request(self.served, items_of(name, name, 1), heartbeat_of_a_job()):
            self.begun.append(name)
            if hold is not None:
                await hold.wait()

    async def at_work(self) -> asyncio.Task[list[str]]:
        """Submit the job `a` and return once its call runs, alone: jobs submitted next wait together behind it."""
        first = self.submit("a")
        await self.under_way(1)
        return first

    async def _hold(self, job_id: str, held: BatchRequest) -> list[str]:
        async with held as request:
            self.begun.append(job_id)
            return [output.text for output in await request.outputs() if isinstance(output, NamedOutput)]

    def cancel(self, job: str) -> None:
        self.heartbeats[job].note(Verdict.CANCEL)

    async def under_way(self, calls: int) -> None:
        """Wait until the adapter has been called that often and the scheduler has the submitted jobs."""
        async with asyncio.timeout(5):
            while len(self.adapter.calls) < calls:
                await asyncio.sleep(0.005)

    async def have_begun(self, *names: str) -> None:
        async with asyncio.timeout(5):
            while self.begun != [*names]:
                await asyncio.sleep(0.005)

    def counted(self, name: str) -> float | None:
        return self._metrics.registry.get_sample_value(name, {"model": "tiny"})


@asynccontextmanager
async def rig(
    fault: Callable[[list[str]], None] = lambda _names: None,
    decoded: threading.Event | None = None,
    deadline_seconds: float = 60,
    window_seconds: float = WINDOW_SECONDS,
) -> AsyncIterator[BatcherRig]:
    adapter = SteppingAdapter(fault, decoded)
    metrics = Metrics()
    async with AsyncExitStack() as stack:
        executor = await stack.enter_async_context(ModelExecutor(adapter))
        stack.callback(adapter.go)  # before the executor is closed, which waits for the thread
        served = loaded(executor, metrics)
        batcher = batcher_of(served, deadline_seconds=deadline_seconds, window_seconds=window_seconds)
        await stack.enter_async_context(batcher.running())
        await stack.enter_async_context(asyncio.timeout(10))
        yield BatcherRig(adapter, served, batcher, metrics)


def fits(most: int) -> Callable[[list[str]], None]:
    """Return the fault of a device that has memory for `most` items at a time."""

    def fault(names: list[str]) -> None:
        if len(names) > most:
            raise MemoryError

    return fault


def refuses(name: str, exc: BaseException) -> Callable[[list[str]], None]:
    """Return the fault of a model that raises `exc` when `name` is in the batch."""

    def fault(names: list[str]) -> None:
        if name in names:
            raise exc

    return fault


def items_of(prompt: str, job_id: str, count: int, **given: object) -> list[Item]:
    params = Txt2ImgParams.model_validate({"prompt": prompt, "width": 64, "num_images": count, "seed": 0, **given})
    return [Item(job_id, index, index, prompt, "", params) for index in range(count)]


def heartbeat_of_a_job() -> Heartbeat:
    """Return a heartbeat that renews no lease: a test notes the verdicts of the status store."""
    return Heartbeat(cast("JobLease", SimpleNamespace(removed=False)))
