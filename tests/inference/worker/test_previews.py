"""One job's previews on their way to the gateway."""

import asyncio
import io
from typing import cast

import pytest
from PIL import Image
from structlog.testing import capture_logs

from services.common.cache import Cache
from services.common.preview_cache import preview_key
from services.inference.runtime.outputs import PREVIEW_SIDE, Preview
from services.inference.worker.best_effort import BestEffort
from services.inference.worker.previews import Previews
from tests.support.fake_backends import InMemoryCache, UnavailableBackend

pytestmark = pytest.mark.anyio

CALL_SECONDS = 1000.0


class Shown:
    """Counts how often there was something new; `once` waits for the first time."""

    def __init__(self) -> None:
        self.times = 0
        self._first = asyncio.Event()

    def __call__(self) -> None:
        self.times += 1
        self._first.set()

    async def once(self) -> None:
        async with asyncio.timeout(5):
            await self._first.wait()


def previews(cache: object, shown: Shown) -> Previews:
    return Previews(BestEffort(cast("Cache", cache)), "job", shown, call_seconds=CALL_SECONDS)


def plain(colour: str, size: tuple[int, int] = (16, 16)) -> Preview:
    return Preview(Image.new("RGB", size, colour))


async def test_newest_is_shown_until_it_is_over() -> None:
    """The newest of previews that come faster than they are stored is shown, and none once the job is over."""
    board, shown = InMemoryCache(), Shown()
    showing = previews(board, shown)
    for colour in ("black", "red", "white"):
        showing.show(0, plain(colour))
    showing.show(1, plain("black", (400, 100)))
    await shown.once()
    first, second = (Image.open(io.BytesIO(board.kept[preview_key("job", index)])) for index in (0, 1))
    assert (first.format, first.size, first.getpixel((5, 5))) == ("JPEG", (64, 64), (255, 255, 255))
    assert second.size == (PREVIEW_SIDE, PREVIEW_SIDE // 4)
    assert shown.times == 1
    assert min(board.seconds.values()) > CALL_SECONDS  # a step may take as long as the whole call
    await showing.clear()
    assert board.kept == {}


async def test_what_cannot_be_shown_harms_nothing() -> None:
    """A cache that is down shows nothing, an adapter that makes something else than a picture is logged."""
    shown = Shown()
    for cache, made in (
        (UnavailableBackend("cache"), plain("red")),
        (InMemoryCache(), Preview(cast("Image.Image", "no picture"))),
    ):
        showing = previews(cache, shown)
        with capture_logs() as logs:
            showing.show(0, made)
            async with asyncio.timeout(5):
                while not logs:
                    await asyncio.sleep(0.01)
            await showing.clear()
        assert len(logs) == 1
    assert shown.times == 0


async def test_job_without_previews_asks_nothing_of_the_cache() -> None:
    """A job that ends before its first preview costs the cache no call."""
    with capture_logs() as logs:
        await previews(UnavailableBackend("cache"), Shown()).clear()
    assert logs == []
