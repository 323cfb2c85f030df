"""Identical jobs are made once, whatever becomes of the one that asked first."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from services.common.errors import GenerationError
from services.inference.runtime.adapter import Cancelled
from tests.support.models.stepping_adapter import STEPS, refuses, rig

pytestmark = pytest.mark.anyio


def failing_once() -> Callable[[list[str]], None]:
    """The first call of the model has a bad moment."""
    faults = [RuntimeError("a bad moment")]

    def fault(_names: list[str]) -> None:
        if faults:
            raise faults.pop()

    return fault


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
        jobs.cancel("first")
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
        jobs.cancel("first")
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
    async with rig(failing_once()) as jobs:
        twins = [jobs.submit("a", job=f"twin {number}") for number in range(3)]
        await jobs.under_way(1)
        jobs.adapter.go()
        results = await asyncio.gather(*twins, return_exceptions=True)
    assert isinstance(results[0], RuntimeError)
    assert results[1:] == [["a0"], ["a0"]]
    assert jobs.adapter.calls == [["a0"], ["a0"]]


async def test_followers_of_two_pictures_survive_the_failure_of_the_first() -> None:
    """A call that fails has failed once for a job that shares two pictures of it, which are tried once more."""
    async with rig(failing_once()) as jobs:
        first, second = (jobs.submit("a", count=2, job=name) for name in ("first", "second"))
        await jobs.under_way(1)
        jobs.adapter.go()
        with pytest.raises(RuntimeError, match="a bad moment"):
            await first
        assert await second == ["a0", "a1"]
    assert jobs.adapter.calls == [["a0", "a1"], ["a0", "a1"]]


async def test_follower_of_two_pictures_of_a_call_that_was_stopped() -> None:
    """A job that shares two pictures of a call being stopped gets both from a call of its own, and is not canceled."""
    async with rig() as jobs:
        first = jobs.submit("a", count=2, job="first")
        await jobs.under_way(1)
        jobs.cancel("first")
        jobs.adapter.gate.release()
        assert jobs.adapter.stopped.wait(5)  # the loop has not heard of it yet
        second = jobs.submit("a", count=2, job="second")
        jobs.adapter.go()
        with pytest.raises(Cancelled):
            await first
        assert await second == ["a0", "a1"]
    assert jobs.adapter.calls == [["a0", "a1"], ["a0", "a1"]]


async def test_adapter_that_stops_unasked() -> None:
    """A job nobody canceled fails when the adapter stops again and again; it does not end canceled."""

    def fault(_names: list[str]) -> None:
        raise Cancelled

    async with rig(fault) as jobs:
        jobs.adapter.go()
        with pytest.raises(GenerationError, match="although somebody waited"):
            await jobs.submit("a")
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


async def test_twin_of_a_job_that_failed_while_its_batch_goes_on() -> None:
    """What is asked for again is tried again, although the rest of the batch it failed in is still being made."""
    async with rig(refuses("bad0", RuntimeError("cannot draw this"))) as jobs:
        first = await jobs.at_work()
        bad, good = jobs.submit("bad"), jobs.submit("c")
        jobs.adapter.gate.release(3 * STEPS)
        await jobs.under_way(4)
        again = jobs.submit("bad", job="again")
        jobs.adapter.go()
        results = await asyncio.gather(first, bad, good, again, return_exceptions=True)
    assert [type(result) for result in results] == [list, RuntimeError, list, RuntimeError]
    assert jobs.adapter.calls == [["a0"], ["bad0", "c0"], ["bad0"], ["c0"], ["bad0"]]


async def test_suspect_keeps_to_itself() -> None:
    """A job that was delivered before does not join an identical one that has company."""
    async with rig() as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit("b"), jobs.submit("c"), jobs.submit("b", job="suspect", alone=True)]
        jobs.adapter.go()
        await asyncio.gather(first, *rest)
    assert jobs.adapter.calls == [["a0"], ["b0", "c0"], ["b0"]]


async def test_twin_that_is_over_when_its_call_is_made_up() -> None:
    """What was asked for by one that has left, and then by another that leaves as well, is never made."""
    decoded = threading.Event()
    async with rig(decoded=decoded) as jobs:
        first = await jobs.at_work()
        async with asyncio.TaskGroup() as group:
            group.create_task(jobs.refuse("gone"))
            jobs.adapter.go()
            await jobs.have_begun("a", "gone")
            hold = asyncio.Event()
            group.create_task(jobs.refuse("gone", hold))
            await jobs.have_begun("a", "gone", "gone")
            decoded.set()
            assert await first == ["a0"]
            await asyncio.sleep(0.05)
            hold.set()
        assert await jobs.submit("b") == ["b0"]
    assert jobs.adapter.calls == [["a0"], ["b0"]]


async def test_other_seed_is_another_thing() -> None:
    """Pictures of one job that differ in their seed alone are all made."""
    async with rig() as jobs:
        jobs.adapter.go()
        assert await jobs.submit("a", count=3) == ["a0", "a1", "a2"]
