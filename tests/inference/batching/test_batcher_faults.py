"""Batches that raise, do not fit or hang: whose fault it is, and what becomes of the others."""

import asyncio
import concurrent.futures
from unittest.mock import Mock, patch

import pytest

from services.common.errors import DeadlineExceeded, DeviceFailed, GenerationError, HandedBack, OutOfMemory
from services.common.modalities.images import Txt2ImgParams
from services.inference.batching.scheduler import BatchScheduler
from services.inference.runtime.adapter import Cancelled, Item
from tests.support.models.stepping_adapter import STEPS, SteppingAdapter, fits, heartbeat_of_a_job, refuses, rig

pytestmark = pytest.mark.anyio


async def test_out_of_memory_halves_the_batch() -> None:
    """A batch that does not fit is split until it does, and the next one of its kind is made that small at once."""
    async with rig(fits(2)) as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit(name) for name in "bcdefg"]
        jobs.adapter.go()
        assert await asyncio.gather(first, *rest) == [[f"{name}0"] for name in "abcdefg"]
    assert [len(call) for call in jobs.adapter.calls] == [1, 4, 2, 2, 2]


async def test_what_fitted_is_remembered_for_odd_batches() -> None:
    """If three items do not fit, two are tried, and the limit of two is remembered."""
    async with rig(fits(2)) as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit(name) for name in "bcd"]
        jobs.adapter.go()
        await asyncio.gather(first, *rest)
        await asyncio.gather(*(jobs.submit(name) for name in "efgh"))
    assert [len(call) for call in jobs.adapter.calls] == [1, 3, 2, 1, 2, 2]


async def test_too_large_by_itself() -> None:
    """An item that does not fit alone fails as out of memory, and no other does."""
    async with rig(refuses("huge0", MemoryError())) as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit(name) for name in ("b", "huge", "c")]
        jobs.adapter.go()
        results = await asyncio.gather(first, *rest, return_exceptions=True)
    assert isinstance(results[2], OutOfMemory)
    assert [results[number] for number in (0, 1, 3)] == [["a0"], ["b0"], ["c0"]]


async def test_one_more_try_with_the_memory_emptied() -> None:
    """An item that did not fit beside cached memory is made once the cache has been freed."""
    fault = Mock(side_effect=[MemoryError, None])
    async with rig(fault) as jobs:
        jobs.adapter.go()
        assert await jobs.submit("a") == ["a0"]
    assert jobs.adapter.calls == [["a0"], ["a0"]]


async def test_device_that_breaks() -> None:
    """The job that asked for all of a call that broke the device is told so, others are handed back, none is called."""
    async with rig(refuses("bad0", RuntimeError("CUDA error: device-side assert triggered"))) as jobs:
        alone, behind = jobs.submit("bad"), jobs.submit("b", width=128)
        jobs.adapter.go()
        with pytest.raises(DeviceFailed, match="device-side assert"):
            await alone
        await asyncio.wait([behind], timeout=0.05)
        assert not behind.done() or isinstance(behind.exception(), HandedBack)  # as far as it was begun
        behind.cancel()
    assert jobs.adapter.calls == [["bad0"]]
    async with rig(refuses("bad0", RuntimeError("CUDA error: device-side assert triggered"))) as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit("bad"), jobs.submit("b")]
        jobs.adapter.go()
        assert await first == ["a0"]
        for job in rest:
            with pytest.raises(HandedBack):
                await job


async def test_one_jobs_fault_is_its_own() -> None:
    """A batch that raises is made in parts, so that only the job whose fault it is fails."""
    async with rig(refuses("bad0", RuntimeError("cannot draw this"))) as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit(name) for name in ("b", "bad", "c", "d")]
        jobs.adapter.go()
        results = await asyncio.gather(first, *rest, return_exceptions=True)
    assert isinstance(results[2], RuntimeError)
    assert [results[number] for number in (0, 1, 3, 4)] == [["a0"], ["b0"], ["c0"], ["d0"]]


async def test_fault_of_a_canceled_mate_is_not_the_others() -> None:
    """A job is made alone after a call that failed, although the other job of that call was canceled meanwhile."""
    async with rig(refuses("bad0", RuntimeError("cannot draw this"))) as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit(name) for name in ("b", "bad")]
        jobs.adapter.gate.release(STEPS)
        assert await first == ["a0"]
        await jobs.under_way(2)
        jobs.cancel("bad")
        jobs.adapter.go()
        with pytest.raises(Cancelled):
            await rest[1]
        assert await rest[0] == ["b0"]
    assert jobs.adapter.calls == [["a0"], ["b0", "bad0"], ["b0"]]


async def test_adapter_that_makes_too_few() -> None:
    """Nobody gets another job's output when the adapter leaves one out: only the job it left out fails."""
    async with rig() as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit(name) for name in ("dropped", "b", "c")]
        jobs.adapter.go()
        results = await asyncio.gather(first, *rest, return_exceptions=True)
    assert isinstance(results[1], RuntimeError)
    assert [results[number] for number in (0, 2, 3)] == [["a0"], ["b0"], ["c0"]]


async def test_call_that_hangs() -> None:
    """A job that asked for all of a call that hangs is to blame; nothing else is called after it."""
    async with rig(deadline_seconds=0.2) as jobs:
        hung, other = jobs.submit("a"), jobs.submit("b", width=128)
        with pytest.raises(DeadlineExceeded) as caught:
            await hung
        assert not isinstance(caught.value, HandedBack)
        jobs.adapter.go()
        await asyncio.sleep(0.05)
        assert not other.done()
        other.cancel()
    assert jobs.adapter.calls == [["a0"]]


async def test_call_that_hangs_for_nobody() -> None:
    """A thread that is lost is told of although the job to blame has gone; nobody who comes then is begun in vain."""
    params = Txt2ImgParams.model_validate({"prompt": "a", "width": 64, "seed": 0})
    async with rig(deadline_seconds=0.2) as jobs:
        gone = await jobs.at_work()
        behind = jobs.submit("b", count=2)
        jobs.cancel("a")
        with pytest.raises(Cancelled):
            await gone
        await jobs.batcher.lost.wait()
        assert isinstance(jobs.batcher.loss, DeadlineExceeded)
        late = jobs.batcher.request(jobs.served, [Item("late", 0, 0, "a", "", params)], heartbeat_of_a_job())
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(late.__aenter__(), 0.1)
        assert not behind.done()
        behind.cancel()
    assert jobs.adapter.calls == [["a0"]]


async def test_batch_that_hangs() -> None:
    """Jobs that asked for a part of a call that hangs are handed back; so are those with more to be made."""
    async with rig(deadline_seconds=0.2) as jobs:
        first = await jobs.at_work()
        large, small = jobs.submit("b", count=4), jobs.submit("c", count=1)
        rest = jobs.submit("d", count=4)
        jobs.adapter.gate.release(2 * STEPS)
        await jobs.under_way(3)
        assert await first == ["a0"]
        assert len(await large) == 4
        for job in (small, rest):
            with pytest.raises(HandedBack):
                await job
    assert jobs.adapter.calls[2] == ["c0", "d0", "d1", "d2"]


async def test_batcher_that_breaks_ends_its_user() -> None:
    """A fault of the batcher's own is not a silence in which jobs wait for ever."""
    with patch.object(BatchScheduler, "next", side_effect=ZeroDivisionError), pytest.raises(ZeroDivisionError):
        async with rig() as jobs:
            await jobs.submit("a")


async def test_adapters_mistakes_end_one_job() -> None:
    """A batch key that is none, and an exception that futures take for their own, fail their job and no other."""
    async with rig(refuses("odd0", concurrent.futures.CancelledError())) as jobs:
        jobs.adapter.go()
        with patch.object(SteppingAdapter, "batch_key", lambda _self, _item: []), pytest.raises(TypeError):
            await jobs.submit("a")
        with pytest.raises(RuntimeError, match="CancelledError"):
            await jobs.submit("odd")
        assert await jobs.submit("b") == ["b0"]


async def test_adapter_whose_batch_key_raises() -> None:
    """A job whose batch key cannot be had fails, with what the adapter raised, and the others are made."""

    def batch_key(_adapter: SteppingAdapter, item: Item) -> str:
        if item.prompt == "odd":
            raise ZeroDivisionError
        return ""

    async with rig() as jobs:
        with patch.object(SteppingAdapter, "batch_key", batch_key):
            jobs.adapter.go()
            results = await asyncio.gather(*(jobs.submit(name) for name in ("b", "odd", "c")), return_exceptions=True)
    assert isinstance(results[1], ZeroDivisionError)
    assert (results[0], results[2]) == (["b0"], ["c0"])


async def test_adapter_whose_batch_key_raises_later() -> None:
    """An adapter that tells the batch key of a thing once and not again breaks nothing: it is asked once."""
    told: set[str] = set()

    def batch_key(_adapter: SteppingAdapter, item: Item) -> str:
        if item.prompt in told:
            raise ZeroDivisionError
        told.add(item.prompt)
        return ""

    async with rig(fits(1)) as jobs:
        with patch.object(SteppingAdapter, "batch_key", batch_key):
            jobs.adapter.go()
            assert await asyncio.gather(*(jobs.submit(name) for name in "bcd")) == [["b0"], ["c0"], ["d0"]]


async def test_what_came_back_waits_until_all_others_are_over() -> None:
    """A job that perhaps took its worker down is called when no other job of the worker could be charged for it."""
    params = Txt2ImgParams.model_validate({"prompt": "a", "width": 64, "seed": 0})
    async with rig() as jobs:
        jobs.adapter.go()
        held = jobs.batcher.request(jobs.served, [Item("a", 0, 0, "a", "", params)], heartbeat_of_a_job())
        async with held as request:
            await request.outputs()
            suspect = jobs.submit("b", alone=True)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(asyncio.shield(suspect), 0.1)
        assert await suspect == ["b0"]


async def test_adapter_that_stops_unasked() -> None:
    """A job that was not canceled fails when the adapter stops; it does not end canceled."""

    def fault(_names: list[str]) -> None:
        raise Cancelled

    async with rig(fault) as jobs:
        jobs.adapter.go()
        with pytest.raises(GenerationError, match="although the job was not canceled"):
            await jobs.submit("a")
    assert jobs.adapter.calls == [["a0"]]
