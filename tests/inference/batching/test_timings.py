"""The timings of calls that are remembered."""

from contextlib import suppress

import pytest

from services.common.presence import Pace
from services.inference.batching.timings import BUCKETS, CallTimings
from tests.support.fakes import Clock
from tests.support.models.items import item


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timings(clock: Clock) -> CallTimings:
    return CallTimings(clock)


def call(timings: CallTimings, clock: Clock, seconds: float, *, count: int = 1, width: int = 64) -> None:
    """A call that takes so long."""
    with timings.call([item(seed, width=width, steps=4) for seed in range(count)]):
        assert timings.busy
        clock.seconds += seconds
    assert not timings.busy


def test_pace_is_by_step_and_by_picture(timings: CallTimings, clock: Clock) -> None:
    """The first call of a size gives its figures: by step of the call, and by step of one picture in it."""
    call(timings, clock, 8, count=4)
    call(timings, clock, 2, width=128)
    assert timings.paces == {
        "64x64": Pace(call=2, each=0.5, spread=0.25),
        "128x64": Pace(call=0.5, each=0.5, spread=0.25),
    }


def test_pace_follows_what_calls_take(timings: CallTimings, clock: Clock) -> None:
    """One slow call moves the figures a little, many move them all the way, and how far they scatter is told."""
    call(timings, clock, 1, width=128)
    call(timings, clock, 4)
    call(timings, clock, 8)
    assert timings.paces["64x64"].model_dump() == pytest.approx({"call": 1.3, "each": 1.3, "spread": 0.475})
    for _ in range(30):
        call(timings, clock, 8)
    settled = timings.paces["64x64"]
    assert settled.call == pytest.approx(2, rel=0.01)
    assert settled.spread < 0.01


def test_warming_up_is_not_counted(timings: CallTimings, clock: Clock) -> None:
    """The extra time of the very first call is forgotten with the second."""
    call(timings, clock, 40)
    call(timings, clock, 4)
    assert timings.paces == {"64x64": Pace(call=1, each=1, spread=0.25)}


def test_failed_call_says_nothing(timings: CallTimings) -> None:
    """A call that raises leaves no figure and does not stay under way."""
    with suppress(ValueError), timings.call([item(1)]):
        raise ValueError
    assert (timings.busy, timings.paces) == (False, {})


def test_sizes_used_last_are_kept(timings: CallTimings, clock: Clock) -> None:
    """However many sizes are asked for, only the newest are remembered."""
    for number in range(BUCKETS):
        call(timings, clock, 1, width=64 + 8 * number)
    call(timings, clock, 1, width=64)
    call(timings, clock, 1, width=2048)
    assert len(timings.paces) == BUCKETS
    assert {"64x64", "2048x64"} <= set(timings.paces)
    assert "72x64" not in timings.paces
