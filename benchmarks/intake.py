"""A photo of 12 megapixels that comes in: seconds until it is stored, the delay of the gateway's event loop meanwhile,
and the memory that it takes. The gateway runs in this process, the client in another one."""

import asyncio
import io
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import httpx2
import psutil
import uvloop
from PIL import Image

from benchmarks.figure import Figure
from benchmarks.looplag import sample_lag
from services.api.app import create_app
from services.api.server import serve
from services.common.catalogue.files import load_catalogue
from services.common.settings import Settings
from tests.api.conftest import embedded_settings
from tests.intake.meter import MemoryWatch
from tests.support.system import ROOT

UPLOADS: Final = 20
SIZE: Final = (4000, 3000)
MEGABYTE: Final = 1e6


def run() -> Iterator[Figure]:
    """Yield the seconds of an upload, the 99th percentile of the delay, and the peaks of both processes."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as folder:
        settings = embedded_settings(Path(folder), log_level="warning", port=0)
        seconds, lags, watch, grown = uvloop.run(_measure(settings))
    yield Figure.of("intake.seconds", statistics.median(seconds), "s", "<= 1", seconds)
    yield Figure.of("intake.slowest", max(seconds), "s", "", seconds)
    yield Figure.of("intake.loop lag p99", statistics.quantiles(lags, n=100)[98], "ms", "<= 10", lags)
    yield Figure.of("intake.loop lag worst", max(lags), "ms", "", lags)
    yield Figure.of("intake.peak of the process that opens it", watch.peak_bytes / MEGABYTE, "MB", "", [1.0])
    yield Figure.of("intake.growth of the gateway", grown / MEGABYTE, "MB", "", [1.0])


async def _measure(settings: Settings) -> tuple[list[float], list[float], MemoryWatch, int]:
    models = load_catalogue(ROOT / "models" / "models.toml", ROOT / "models" / "styles.toml")
    stop, ready = asyncio.Event(), asyncio.get_running_loop().create_future()
    serving = asyncio.create_task(serve(create_app(settings, models), settings, stop, ready.set_result))
    url, us = await ready, psutil.Process(os.getpid())
    lags: list[float] = []
    with ProcessPoolExecutor(1, get_context("spawn")) as client:
        photo = await asyncio.to_thread(_photo)
        await asyncio.wrap_future(client.submit(_upload, url, photo, 2))
        before, watch = us.memory_info().rss, MemoryWatch(us)
        sampling = asyncio.create_task(sample_lag(lags))
        seconds = await asyncio.wrap_future(client.submit(_upload, url, photo, UPLOADS))
        sampling.cancel()
        grown = max(us.memory_info().rss - before, 0)
        with watch.watching():  # by itself: to look takes this process's time
            await asyncio.wrap_future(client.submit(_upload, url, photo, 3))
    stop.set()
    await serving
    return seconds, lags, watch, grown


def _upload(url: str, photo: bytes, count: int) -> list[float]:
    """Send the photo in so often, and return the seconds of each."""
    seconds: list[float] = []
    with httpx2.Client(base_url=url, timeout=60) as client:
        for _ in range(count):
            begin = time.perf_counter()
            answer = client.post("/v1/inputs", files={"file": ("photo.jpg", photo)})
            seconds.append(time.perf_counter() - begin)
            assert answer.status_code == 201, answer.text
    return seconds


def _photo() -> bytes:
    """Return a JPEG as a phone makes it: detail everywhere, and turned by its EXIF orientation."""
    exif, buffer = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    coarse = Image.frombytes("RGB", (500, 375), os.urandom(500 * 375 * 3)).resize(SIZE, Image.Resampling.BICUBIC)
    Image.blend(coarse, Image.effect_noise(SIZE, 20).convert("RGB"), 0.2).save(buffer, "jpeg", quality=92, exif=exif)
    return buffer.getvalue()
