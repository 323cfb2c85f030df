"""Temporary folders, one for each file that is being taken in."""

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO, Final

import structlog

from services.common.errors import TooBusy

log = structlog.get_logger(__name__)

PIECE_BYTES: Final = 1024 * 1024  # written at once, in a thread
STALE_SECONDS: Final = 3600.0
_FOLDER: Final = "studio-input-"


def delete_left_behind() -> None:
    """Delete the folders of gateways that were killed; those of other users stay."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_FOLDER}*"):
        with suppress(OSError):
            if folder.stat().st_mtime < time.time() - STALE_SECONDS:
                shutil.rmtree(folder)


@asynccontextmanager
async def upload_folder() -> AsyncGenerator[Path, None]:
    """Make a folder for one upload, and delete it after the block. Raises TooBusy where the disk takes no more."""
    try:
        folder = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix=_FOLDER))
    except OSError as exc:
        raise _no_room(exc) from exc
    try:
        yield folder
    except OSError as exc:
        raise _no_room(exc) from exc
    finally:
        await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


def _no_room(exc: OSError) -> TooBusy:
    log.warning("temporary file not written", reason=str(exc))
    return TooBusy("there is no room for another file just now: try again in a moment")


async def write_body(body: AsyncIterator[bytes], path: Path) -> int:
    """Write the body to the file, and return its length. The disk is waited for in a thread."""
    total, piece = 0, bytearray()
    with await asyncio.to_thread(path.open, "wb", buffering=0) as file:
        async for chunk in body:
            piece += chunk
            total += len(chunk)
            if len(piece) >= PIECE_BYTES:
                await asyncio.to_thread(_flush, file, piece)
                piece = bytearray()
        await asyncio.to_thread(_flush, file, piece)
    return total


def _flush(file: IO[bytes], piece: bytearray) -> None:
    view = memoryview(piece)
    while view:
        view = view[file.write(view) :]
