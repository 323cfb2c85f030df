"""The turns of the bulk lane: other jobs go first, but not for ever, and no room is left empty."""

import asyncio

import pytest

from tests.support.models.stepping_adapter import rig

pytestmark = pytest.mark.anyio


async def test_bulk_lets_others_go_first() -> None:
    """A later job of the first lane is made in the next call, and bulk jobs fill that call up."""
    async with rig() as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit(name, bulk=True) for name in "bcdefg"] + [jobs.submit("y"), jobs.submit("z")]
        jobs.adapter.go()
        await asyncio.gather(first, *rest)
    assert jobs.adapter.calls == [["a0"], ["y0", "z0", "b0", "c0"], ["d0", "e0", "f0", "g0"]]


async def test_bulk_has_its_turn() -> None:
    """Every fourth call that cannot be shared is led by the bulk lane."""
    async with rig() as jobs:
        first = await jobs.at_work()
        rest = [jobs.submit(name, bulk=True, width=128) for name in "bc"]
        rest += [jobs.submit(name, alone=True) for name in "mnopqrs"]
        jobs.adapter.go()
        await asyncio.gather(first, *rest)
    assert [call[0] for call in jobs.adapter.calls] == ["a0", "m0", "n0", "o0", "b0", "p0", "q0", "r0", "s0"]
    assert jobs.adapter.calls[4] == ["b0", "c0"]
