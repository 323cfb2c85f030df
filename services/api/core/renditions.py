"""Renditions of stored files: another format, a smaller size or without metadata, made on request, not kept."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Final

from services.api.core.fair_shares import FairShares
from services.api.core.formats import pictures, sound, transcripts, video
from services.api.core.formats.file_format import FileFormat
from services.common.errors import TooBusy
from services.common.modalities.modality import Media
from services.common.provenance.mark import Mark

SECONDS: Final = 10.0  # for one file, waiting for its turn included
THREADS: Final = 2  # at a time, so that the gateway has time for other requests
IN_HAND: Final = 8  # files at a time that are being read or wait for a thread: they are in memory

_CONVERTERS: Final[Mapping[Media, Callable[[bytes, FileFormat, Mark], bytes]]] = {
    Media.IMAGE: pictures.converted,
    Media.AUDIO: sound.converted,
    Media.VIDEO: video.converted,
    Media.TEXT: transcripts.converted,
}


class Renditions:
    """Opened by `open_renditions`."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._room = FairShares(IN_HAND)

    async def render(self, stored: AsyncIterator[bytes], wanted: FileFormat, mark: Mark, party: str) -> bytes:
        """Return the file in this format, with the mark. The parties take turns.

        Raises TooBusy when too many wait, InvalidRequest for a file that cannot be converted, FormatUnavailable, and
        as `stored`.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(SECONDS), self._room.share(party, SECONDS):
                data = await whole(stored)
                return await loop.run_in_executor(self._threads, _rendition, data, wanted, mark)
        except TimeoutError as exc:
            detail = "too many files are being converted just now: try again in a moment, or fetch it as it is stored"
            raise TooBusy(detail) from exc


@asynccontextmanager
async def open_renditions() -> AsyncIterator[Renditions]:
    """Run the threads while the block runs."""
    threads = ThreadPoolExecutor(THREADS, "renditions")
    try:
        yield Renditions(threads)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


async def whole(stored: AsyncIterator[bytes]) -> bytes:
    """Return all chunks as one."""
    return b"".join([chunk async for chunk in stored])


def _rendition(data: bytes, wanted: FileFormat, mark: Mark) -> bytes:
    return _CONVERTERS[wanted.media](data, wanted, mark)
