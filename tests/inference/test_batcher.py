"""The batcher over a real model thread, with an adapter that stops at every step until it is let go on."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import cast

import pytest

from services.common.errors import OutOfMemory
from services.common.params import Txt2ImgParams
from services.common.schemas import Progress
from services.inference.adapter import Cancelled, Context, Item, ModelAdapter
from services.inference.batcher import Batcher
from services.inference.claim import Claim
from services.inference.executor import ModelExecutor
from services.inference.heartbeat import Heartbeat
from services.inference.metrics import Metrics
from services.inference.outputs import Encoded, Output
from services.inference.seat import Seat
from services.inference.sources import Source
from tests.inference.models import tiny_model

pytestmark = pytest.mark.anyio

STEPS = 3


@dataclass(frozen=True)
class Name:
    """An output that says of which item it is."""

    text: str

    def encode(self, metadata: dict[str, str]) -> Encoded:
        raise NotImplementedError


class Stepper(ModelAdapter):
    """Takes STEPS steps, each when `gate` lets it; `fault` is asked before the first."""

    modality = tiny_model().modality
    max_batch = 4

    def __init__(self, fault: Callable[[list[str]], None] = lambda _names: None) -> None:
        super().__init__(tiny_model(), Source("nowhere"))
        self.gate = threading.Semaphore(0)
        self.stopped = threading.Event()
        self.calls: list[list[str]] = []
        self._fault = fault

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
        return [Name(name) for name in names]

    def close(self) -> None:
        self.go()

    def go(self) -> None:
        """From now on every step at once."""
        self.gate.release(1000)


class Rig:
    """Submits jobs the way an attempt does, and keeps their heartbeats."""

    def __init__(self, adapter: Stepper, batcher: Batcher, metrics: Metrics) -> None:
        self.adapter = adapter
        self.batcher = batcher
        self._metrics = metrics
        self.heartbeats: dict[str, Heartbeat] = {}

    def submit(
        self, name: str, job: str = "", *, count: int = 1, alone: bool = False, **given: object
    ) -> asyncio.Task[list[str]]:
        """A job of `count` items; `name` is its prompt, and its id unless `job` is given."""
        params = Txt2ImgParams.model_validate({"prompt": name, "width": 64, "num_images": count, "seed": 0, **given})
        job_id = job or name
        heartbeat = self.heartbeats[job_id] = Heartbeat(cast("Claim", None))
        items = [Item(job_id, index, index, name, "", params) for index in range(count)]
        return asyncio.create_task(_hold(self.batcher.seat(items, heartbeat, alone=alone)))

    async def under_way(self, calls: int) -> None:
        """The adapter has been called that often, and what was submitted has a seat."""
        async with asyncio.timeout(5):
            while len(self.adapter.calls) < calls:
                await asyncio.sleep(0.005)

    def counted(self, name: str) -> float | None:
        return self._metrics.registry.get_sample_value(name, {"model": "tiny"})


@asynccontextmanager
async def rig(fault: Callable[[list[str]], None] = lambda _names: None) -> AsyncIterator[Rig]:
    adapter = Stepper(fault)
    metrics = Metrics("tiny")
    async with AsyncExitStack() as stack:
        executor = await stack.enter_async_context(ModelExecutor(adapter))
        stack.callback(adapter.go)  # before the executor is closed, which waits for the thread
        batcher = Batcher(executor, metrics)
        await stack.enter_async_context(batcher.running())
        await stack.enter_async_context(asyncio.timeout(10))
        yield Rig(adapter, batcher, metrics)


async def test_waiting_jobs_share_calls() -> None:
    """What waits while a call runs joins the next ones, oldest first and at most `max_batch` at a time."""
    async with rig() as jobs:
        first = jobs.submit("a")
        await jobs.under_way(1)
        rest = [jobs.submit(name) for name in "bcdefg"]
        jobs.adapter.go()
        assert await asyncio.gather(first, *rest) == [[f"{name}0"] for name in "abcdefg"]
    assert jobs.adapter.calls == [["a0"], ["b0", "c0", "d0", "e0"], ["f0", "g0"]]
    assert jobs.counted("studio_pipeline_calls_total") == 3
    assert jobs.counted("studio_batch_size_sum") == 7


async def test_other_keys_wait_their_turn() -> None:
    """Jobs of another size never share a call, and none is overtaken by calls that its elders do not need."""
    async with rig() as jobs:
        first = jobs.submit("a")
        await jobs.under_way(1)
        rest = [jobs.submit(name, width=width) for name, width in (("b", 64), ("c", 128), ("d", 64), ("e", 128))]
        rest += [jobs.submit(name) for name in "fgh"]
        jobs.adapter.go()
        await asyncio.gather(first, *rest)
    assert jobs.adapter.calls == [["a0"], ["b0", "d0", "f0", "g0"], ["c0", "e0"], ["h0"]]


async def test_job_larger_than_the_room() -> None:
    """A job of six is begun with what fits, goes on before younger jobs, and counts its steps over all calls."""
    async with rig() as jobs:
        first = jobs.submit("a")
        await jobs.under_way(1)
        rest = [jobs.submit("b", count=2), jobs.submit("c", count=4), jobs.submit("d")]
        seen: list[Progress] = []
        jobs.heartbeats["c"].report = seen.append  # type: ignore[assignment, method-assign]
        jobs.adapter.go()
        assert (await asyncio.gather(first, *rest))[2] == ["c0", "c1", "c2", "c3"]
    assert jobs.adapter.calls == [["a0"], ["b0", "b1", "c0", "c1"], ["c2", "c3", "d0"]]
    assert [(each.step, each.total) for each in seen] == [(step, 12) for step in (2, 4, 6, 8, 10, 12)]


async def test_cancelled_member_ends_at_the_next_step() -> None:
    """A canceled job of a batch ends while the others go on and get what they asked for."""
    async with rig() as jobs:
        first = jobs.submit("a")
        await jobs.under_way(1)
        jobs.adapter.gate.release(STEPS)
        rest = [jobs.submit(name) for name in "bc"]
        await first
        await jobs.under_way(2)
        jobs.heartbeats["b"].canceled = True
        jobs.adapter.gate.release()
        with pytest.raises(Cancelled):
            await rest[0]
        assert not rest[1].done()
        jobs.adapter.go()
        assert await rest[1] == ["c0"]


async def test_nobody_wants_the_batch() -> None:
    """A batch of which every job is canceled is stopped in the model thread."""
    async with rig() as jobs:
        first = jobs.submit("a")
        await jobs.under_way(1)
        jobs.heartbeats["a"].canceled = True
        jobs.adapter.gate.release()
        with pytest.raises(Cancelled):
            await first
        assert jobs.adapter.gate.acquire(blocking=False) is False


async def test_job_that_leaves_at_its_turn_is_not_made() -> None:
    """A job found to be over when its turn comes costs no call."""
    async with rig() as jobs:
        jobs.adapter.go()
        item = Item("gone", 0, 0, "gone", "", Txt2ImgParams(prompt="gone"))
        async with jobs.batcher.seat([item], Heartbeat(cast("Claim", None)), alone=False):
            pass
        assert await jobs.submit("a") == ["a0"]
    assert jobs.adapter.calls == [["a0"]]


async def test_out_of_memory_halves_the_batch() -> None:
    """A batch that does not fit is split until it does, and the next one of its kind is made that small at once."""

    def fault(names: list[str]) -> None:
        if len(names) > 2:
            raise MemoryError

    async with rig(fault) as jobs:
        first = jobs.submit("a")
        await jobs.under_way(1)
        rest = [jobs.submit(name) for name in "bcdefg"]
        jobs.adapter.go()
        assert await asyncio.gather(first, *rest) == [[f"{name}0"] for name in "abcdefg"]
    assert [len(call) for call in jobs.adapter.calls] == [1, 4, 2, 2, 2]


async def test_too_large_by_itself() -> None:
    """What does not fit alone either is out of memory, and only that."""

    def fault(names: list[str]) -> None:
        if "huge0" in names:
            raise MemoryError

    async with rig(fault) as jobs:
        first = jobs.submit("a")
        await jobs.under_way(1)
        rest = [jobs.submit(name) for name in ("b", "huge", "c")]
        jobs.adapter.go()
        results = await asyncio.gather(first, *rest, return_exceptions=True)
    assert isinstance(results[2], OutOfMemory)
    assert [results[number] for number in (0, 1, 3)] == [["a0"], ["b0"], ["c0"]]


async def test_one_jobs_fault_is_not_anothers() -> None:
    """A batch that raises is made in parts, so that only the job whose fault it is fails."""

    def fault(names: list[str]) -> None:
        if "bad0" in names:
            raise RuntimeError("cannot draw this")

    async with rig(fault) as jobs:
        first = jobs.submit("a")
        await jobs.under_way(1)
        rest = [jobs.submit(name) for name in ("b", "bad", "c", "d")]
        jobs.adapter.go()
        results = await asyncio.gather(first, *rest, return_exceptions=True)
    assert isinstance(results[2], RuntimeError)
    assert [results[number] for number in (0, 1, 3, 4)] == [["a0"], ["b0"], ["c0"], ["d0"]]


@pytest.mark.parametrize("how", ["alone", "strict"])
async def test_what_runs_alone(how: str) -> None:
    """A job that was delivered before, and one that wants the same bytes every time, has its call for itself."""
    async with rig() as jobs:
        first = jobs.submit("a")
        await jobs.under_way(1)
        rest = [
            jobs.submit("b"),
            jobs.submit("c", alone=how == "alone", reproducibility="strict" if how == "strict" else None),
            jobs.submit("d"),
        ]
        jobs.adapter.go()
        await asyncio.gather(first, *rest)
    assert jobs.adapter.calls == [["a0"], ["b0", "d0"], ["c0"]]


async def test_identical_jobs_are_made_once() -> None:
    """A hundred identical jobs, some of which come while it is made, cost one call and get the same output."""
    async with rig() as jobs:
        twins = [jobs.submit("a", job=f"twin {number}") for number in range(60)]
        await jobs.under_way(1)
        twins += [jobs.submit("a", job=f"late twin {number}") for number in range(40)]
        jobs.adapter.go()
        assert await asyncio.gather(*twins) == [["a0"]] * 100
    assert jobs.adapter.calls == [["a0"]]
    assert jobs.counted("studio_outputs_shared_total") == 99


async def test_followers_survive_the_cancel_of_the_first() -> None:
    """When the job that asked first is canceled, identical ones still get their output, from the same call."""
    async with rig() as jobs:
        first = jobs.submit("a", job="first")
        await jobs.under_way(1)
        second = jobs.submit("a", job="second")
        jobs.heartbeats["first"].canceled = True
        jobs.adapter.gate.release()
        with pytest.raises(Cancelled):
            await first
        jobs.adapter.go()
        assert await second == ["a0"]
    assert jobs.adapter.calls == [["a0"]]


async def test_follower_of_a_call_that_was_stopped() -> None:
    """An identical job that comes when the call is being stopped already has its own call."""
    async with rig() as jobs:
        first = jobs.submit("a", job="first")
        await jobs.under_way(1)
        jobs.heartbeats["first"].canceled = True
        jobs.adapter.gate.release()
        assert jobs.adapter.stopped.wait(5)  # the loop has not heard of it yet
        second = jobs.submit("a", job="second")
        jobs.adapter.go()
        with pytest.raises(Cancelled):
            await first
        assert await second == ["a0"]
    assert jobs.adapter.calls == [["a0"], ["a0"]]


async def test_followers_survive_the_failure_of_the_first() -> None:
    """A failure is the first job's; identical ones are tried once more, together."""
    faults = [RuntimeError("a bad moment")]

    def fault(_names: list[str]) -> None:
        if faults:
            raise faults.pop()

    async with rig(fault) as jobs:
        twins = [jobs.submit("a", job=f"twin {number}") for number in range(3)]
        await jobs.under_way(1)
        jobs.adapter.go()
        results = await asyncio.gather(*twins, return_exceptions=True)
    assert isinstance(results[0], RuntimeError)
    assert results[1:] == [["a0"], ["a0"]]
    assert jobs.adapter.calls == [["a0"], ["a0"]]


async def test_what_always_fails_fails_everybody() -> None:
    """Identical jobs whose second try fails as well all end, after two calls."""

    def fault(_names: list[str]) -> None:
        raise RuntimeError("never")

    async with rig(fault) as jobs:
        twins = [jobs.submit("a", job=f"twin {number}") for number in range(5)]
        jobs.adapter.go()
        results = await asyncio.gather(*twins, return_exceptions=True)
    assert {type(result) for result in results} == {RuntimeError}
    assert len(jobs.adapter.calls) == 2


async def test_other_seed_is_another_thing() -> None:
    """Pictures of one job that differ in their seed alone are all made."""
    async with rig() as jobs:
        jobs.adapter.go()
        assert await jobs.submit("a", count=3) == ["a0", "a1", "a2"]


async def _hold(held: Seat) -> list[str]:
    async with held as seat:
        return [output.text for output in await seat.outputs() if isinstance(output, Name)]
