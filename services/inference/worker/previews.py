"""Puts the previews of one job where the gateway finds them, and takes them away when the job is over."""

import asyncio
import io
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

import structlog

from services.common.preview_cache import preview_key
from services.inference.worker.best_effort import BestEffort

if TYPE_CHECKING:
    from PIL.Image import Image

log = structlog.get_logger(__name__)

MOST_SIDE: Final = 256  # pixels, the longer one
LARGER: Final = 4  # times: larger shows no more, and encoding would cost more than making the preview
QUALITY: Final = 60
AFTER_SECONDS: Final = 60.0  # for encoding and storing what the call made


class Previews:
    """`on_stored` is called when there are new ones to be seen. One is there until the next or the end of the call.

    `call_seconds` is the most that takes: however slow a step is, what the job's link shows does not go before it.
    """

    def __init__(self, cache: BestEffort, job_id: str, on_stored: Callable[[], object], *, call_seconds: float) -> None:
        self._cache = cache
        self._job_id = job_id
        self._on_stored = on_stored
        self._keep_seconds = call_seconds + AFTER_SECONDS
        self._newest: dict[int, Image] = {}
        self._keys: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def show(self, index: int, picture: "Image") -> None:
        """Have this seen of the job's picture `index`; what has not been stored by then is skipped for it."""
        self._newest[index] = picture
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._store())

    async def clear(self) -> None:
        """Nothing is shown any more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            await self._cache.delete(sorted(self._keys))

    async def _store(self) -> None:
        while newest := self._newest:
            self._newest = {}
            try:
                files = await asyncio.to_thread(_encoded, newest)
            except Exception:
                log.exception("preview not encoded")  # an adapter's mistake, which fails no job
                return
            stored = False
            for index, file in files.items():
                key = preview_key(self._job_id, index)
                self._keys.add(key)
                stored = await self._cache.put(key, file, self._keep_seconds) or stored
            if stored:
                self._on_stored()


def _encoded(pictures: "Mapping[int, Image]") -> dict[int, bytes]:
    return {index: _jpeg(picture) for index, picture in pictures.items()}


def _jpeg(picture: "Image") -> bytes:
    from PIL import Image

    scale = min(LARGER, MOST_SIDE / max(picture.size))
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    buffer = io.BytesIO()
    picture.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=QUALITY)
    return buffer.getvalue()
