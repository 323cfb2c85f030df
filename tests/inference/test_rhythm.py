"""What is remembered of how long calls took."""

from contextlib import suppress

import pytest

from services.common.presence import Pace
from services.inference.batching.timings import SIZES, Rhythm
from tests.inference.clock import Clock
from tests.inference.models import item


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rhythm(clock: Clock) -> Rhythm:
    return Rhythm(clock)


def call(rhythm: Rhythm, clock: Clock, seconds: float, *, count: int = 1, width: int = 64) -> None:
    """A call that takes so long."""
    with rhythm.call([item(seed, width=width, steps=4) for seed in range(count)]):
        assert rhythm.busy
        clock.seconds += seconds
    assert not rhythm.busy


def test_pace_is_by_step_and_by_picture(rhythm: Rhythm, clock: Clock) -> None:
    """The first call of a size gives its figures: by step of the call, and by step of one picture in it."""
    call(rhythm, clock, 8, count=4)
    call(rhythm, clock, 2, width=128)
    assert rhythm.paces == {
        "64x64": Pace(call=2, each=0.5, spread=0.25),
        "128x64": Pace(call=0.5, each=0.5, spread=0.25),
    }


def test_pace_follows_what_calls_take(rhythm: Rhythm, clock: Clock) -> None:
    """One slow call moves the figures a little, many move them all the way, and how far they scatter is told."""
    call(rhythm, clock, 1, width=128)
    call(rhythm, clock, 4)
    call(rhythm, clock, 8)
    assert rhythm.paces["64x64"].model_dump() == pytest.approx({"call": 1.3, "each": 1.3, "spread": 0.475})
    for _ in range(30):
        call(rhythm, clock, 8)
    settled = rhythm.paces["64x64"]
    assert settled.call == pytest.approx(2, rel=0.01)
    assert settled.spread < 0.01


def test_warming_up_is_not_counted(rhythm: Rhythm, clock: Clock) -> None:
    """What the first call of all took beyond the second is forgotten with the second."""
    call(rhythm, clock, 40)
    call(rhythm, clock, 4)
    assert rhythm.paces == {"64x64": Pace(call=1, each=1, spread=0.25)}


def test_failed_call_says_nothing(rhythm: Rhythm) -> None:
    """A call that raises leaves no figure and does not stay under way."""
    with suppress(ValueError), rhythm.call([item(1)]):
        raise ValueError
    assert (rhythm.busy, rhythm.paces) == (False, {})


def test_sizes_used_last_are_kept(rhythm: Rhythm, clock: Clock) -> None:
    """However many sizes are asked for, only the newest are remembered."""
    for number in range(SIZES):
        call(rhythm, clock, 1, width=64 + 8 * number)
    call(rhythm, clock, 1, width=64)
    call(rhythm, clock, 1, width=2048)
    assert len(rhythm.paces) == SIZES
    assert {"64x64", "2048x64"} <= set(rhythm.paces)
    assert "72x64" not in rhythm.paces
