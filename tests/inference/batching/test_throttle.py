"""When previews are made, and that making them fails nothing."""

from PIL import Image
from structlog.testing import capture_logs

from services.inference.batching.throttle import FIRST_SECONDS, MOST_SHARE, PAUSE_SECONDS, PreviewThrottle
from services.inference.runtime.outputs import Preview
from tests.support.fakes import Clock

PREVIEW = Preview(Image.new("RGB", (8, 8)))


class Camera:
    """Takes `seconds` for a preview and counts them."""

    def __init__(self, clock: Clock, seconds: float = 0.0) -> None:
        self._clock, self._seconds = clock, seconds
        self.taken = 0

    def __call__(self) -> list[Preview]:
        self.taken += 1
        self._clock.seconds += self._seconds
        return [PREVIEW]


def test_previews_are_seldom() -> None:
    """There is none before the call has taken a while, and then one in so many seconds, however fast the steps are."""
    clock = Clock()
    shutter, camera = PreviewThrottle(clock), Camera(clock)
    due = [FIRST_SECONDS + number * PAUSE_SECONDS for number in range(3)]
    for hundredths in range(300):
        clock.seconds = hundredths / 100
        assert bool(shutter.previews(camera)) == (clock.seconds in due)
    assert camera.taken == 3


def test_slow_previews_are_rarer() -> None:
    """A preview that takes long is made so seldom that its share of the call stays small."""
    clock = Clock()
    shutter, camera = PreviewThrottle(clock), Camera(clock, seconds=0.1)
    while clock.seconds < 100:
        shutter.previews(camera)
        clock.seconds += 0.05
    assert 0 < camera.taken <= 1 + 100 * MOST_SHARE / 0.1


def test_failing_preview_is_the_last() -> None:
    """An adapter whose preview raises is told in the log once, and asked no more in this call."""
    clock, asked = Clock(), []

    def broken() -> list[Preview]:
        asked.append(clock.seconds)
        raise ZeroDivisionError

    shutter = PreviewThrottle(clock)
    with capture_logs() as logs:
        for clock.seconds in (1, 2, 3):
            assert not shutter.previews(broken)
    assert (asked, len(logs)) == ([1], 1)
