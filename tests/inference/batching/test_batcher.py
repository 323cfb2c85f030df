"""Which jobs share a call of the model, in which order, and how a canceled one leaves."""

import asyncio
import threading

import pytest

from services.common.schemas import Progress
from services.inference.runtime.adapter import Cancelled
from tests.support.models.stepping_adapter import STEPS, rig

pytestmark = pytest.mark.anyio


async def test_waiting_jobs_share_calls() -> None:
    """Jobs that wait during a call share the next ones, oldest first and at most `max_batch` at a time."""
    async with rig() as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit(name) for name in "bcdefg"]
        jobs.adapter.go()
        assert await asyncio.gather(first, *rest) == [[f"{name}0"] for name in "abcdefg"]
    assert jobs.adapter.calls == [["a0"], ["b0", "c0", "d0", "e0"], ["f0", "g0"]]
    assert jobs.counted("studio_pipeline_calls_total") == 3
    assert jobs.counted("studio_batch_size_sum") == 7


async def test_what_comes_in_a_row_shares_a_call() -> None:
    """Each that comes within the window after the one before it joins, and once there is no room, nothing waits."""
    async with rig(window_seconds=0.2) as jobs:
        jobs.adapter.go()
        row = [jobs.submit("a"), jobs.submit("b")]
        for name in "cd":
            await asyncio.sleep(0.12)
            row.append(jobs.submit(name))
        async with asyncio.timeout(0.15):
            await asyncio.gather(*row)
    assert jobs.adapter.calls == [["a0", "b0", "c0", "d0"]]


async def test_other_keys_wait_their_turn() -> None:
    """Jobs of another size never share a call, and none is overtaken by calls that its elders do not need."""
    async with rig() as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit(name, width=width) for name, width in (("b", 64), ("c", 128), ("d", 64), ("e", 128))]
        rest += [jobs.submit(name) for name in "fgh"]
        jobs.adapter.go()
        await asyncio.gather(first, *rest)
    assert jobs.adapter.calls == [["a0"], ["b0", "d0", "f0", "g0"], ["c0", "e0"], ["h0"]]


async def test_job_larger_than_the_room() -> None:
    """A job of six is begun with what fits, goes on before younger jobs, and counts its steps over all calls."""
    async with rig() as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit("b", count=2), jobs.submit("c", count=4), jobs.submit("d")]
        seen: list[Progress] = []
        jobs.heartbeats["c"].report = seen.append  # type: ignore[assignment, method-assign]
        jobs.adapter.go()
        assert (await asyncio.gather(first, *rest))[2] == ["c0", "c1", "c2", "c3"]
    assert jobs.adapter.calls == [["a0"], ["b0", "b1", "c0", "c1"], ["c2", "c3", "d0"]]
    assert [(each.step, each.total) for each in seen] == [(step, 12) for step in (2, 4, 6, 8, 10, 12)]


async def test_next_jobs_are_begun_while_the_last_outputs_are_made() -> None:
    """The thread waits for nobody to be begun: jobs are when the call before theirs has done its steps, not earlier."""
    decoded = threading.Event()
    async with rig(decoded=decoded) as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit("b")]
        await asyncio.sleep(0.05)
        assert jobs.begun == ["a"]
        jobs.adapter.go()
        await jobs.have_begun("a", "b")
        rest.append(jobs.submit("c"))
        await jobs.have_begun("a", "b", "c")
        assert not first.done()
        decoded.set()
        await asyncio.gather(first, *rest)
    assert jobs.adapter.calls == [["a0"], ["b0", "c0"]]


async def test_job_that_comes_while_the_last_outputs_are_made() -> None:
    """One that comes when nothing waited is begun at once as well, beside the end of the call before its own."""
    decoded = threading.Event()
    async with rig(decoded=decoded) as jobs:
        first = await jobs.at_work()
        jobs.adapter.go()
        await asyncio.sleep(0.05)
        rest = jobs.submit("b")
        await jobs.have_begun("a", "b")
        assert not first.done()
        decoded.set()
        await asyncio.gather(first, rest)


@pytest.mark.parametrize("suspect", ["the first", "the next"])
async def test_what_came_back_is_begun_beside_nothing(suspect: str) -> None:
    """A redelivered job and another are never held together: neither is begun before the other is over."""
    decoded = threading.Event()
    async with rig(decoded=decoded) as jobs:
        first = jobs.submit("a", alone=suspect == "the first")
        await jobs.under_way(1)
        after = jobs.submit("b", alone=suspect == "the next")
        jobs.adapter.go()
        await asyncio.sleep(0.05)
        assert jobs.begun == ["a"]
        decoded.set()
        assert [await first, await after] == [["a0"], ["b0"]]


async def test_cancelled_member_does_not_wait_for_the_batch() -> None:
    """A canceled job of a batch ends at once while the others go on and get what they asked for."""
    async with rig() as jobs:
        first = await jobs.at_work()
        jobs.adapter.gate.release(STEPS)
        rest = [jobs.submit(name) for name in "bc"]
        await first
        await jobs.under_way(2)
        jobs.cancel("b")
        with pytest.raises(Cancelled):
            await rest[0]
        assert not rest[1].done()
        jobs.adapter.go()
        assert await rest[1] == ["c0"]


async def test_nobody_wants_the_batch() -> None:
    """A batch of which every job is canceled is stopped in the model thread."""
    async with rig() as jobs:
        first = await jobs.at_work()
        jobs.cancel("a")
        with pytest.raises(Cancelled):
            await first
        assert not jobs.adapter.stopped.is_set()
        jobs.adapter.gate.release()
        assert await asyncio.to_thread(jobs.adapter.stopped.wait, 5)


async def test_job_that_leaves_at_its_turn_is_not_made() -> None:
    """A job found to be over when its turn comes costs no call."""
    async with rig() as jobs:
        jobs.adapter.go()
        await jobs.refuse("gone")
        assert await jobs.submit("a") == ["a0"]
    assert jobs.adapter.calls == [["a0"]]


async def test_half_made_job_goes_before_one_that_came_back() -> None:
    """A redelivered job is called when no job is half made, and no new job is begun before it."""
    async with rig() as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit("b"), jobs.submit("s", count=4, alone=True), jobs.submit("c", count=4), jobs.submit("d")]
        jobs.adapter.go()
        await asyncio.gather(first, *rest)
    calls = [["a0"], ["b0", "c0", "c1", "c2"], ["c3"], ["s0", "s1", "s2", "s3"], ["d0"]]
    assert jobs.adapter.calls == calls


@pytest.mark.parametrize("how", ["alone", "strict"])
async def test_what_runs_alone(how: str) -> None:
    """A job that was delivered before, and one that wants the same bytes every time, has its call for itself."""
    async with rig() as jobs:
        first = await jobs.at_work()
        rest = [
            jobs.submit("b"),
            jobs.submit("c", alone=how == "alone", reproducibility="strict" if how == "strict" else None),
            jobs.submit("d"),
        ]
        jobs.adapter.go()
        await asyncio.gather(first, *rest)
    assert jobs.adapter.calls == [["a0"], ["b0", "d0"], ["c0"]]
