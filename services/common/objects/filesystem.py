"""The embedded object store: one file an object below a folder. Readers see a whole object or none."""

import asyncio
import errno
import shutil
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

import structlog

from services.common.budget import allowed
from services.common.errors import BackendUnavailable, ObjectNotFound
from services.common.faults.disk import file_fault
from services.common.faults.refusals import Refusals
from services.common.objects.folder import delete_files, delete_folder, keys_below
from services.common.objects.keys import check_range, is_object_key

CALL_SECONDS = 2.5
PUT_SECONDS = 10.0
CHUNK_BYTES = 256 * 1024
STALE_SECONDS = 3600.0
LISTED_AT_ONCE = 1000
_PARTIAL = ".partial"  # where writes begin; no key segment starts with a dot

T = TypeVar("T")

log = structlog.get_logger(__name__)


class FilesystemObjectStore:
    """See the port `ObjectStore`. Opened by `open_filesystem_object_store`.

    Raises ValueError for a key that is no relative path of plain names, so that none leads out of the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._refusals = Refusals("objects")

    async def put(self, key: str, data: bytes, media_type: str) -> None:  # noqa: ARG002 - a file has no media type
        await self._in_thread(partial(_write, self._root, self._path(key), data), PUT_SECONDS)

    async def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        check_range(start, end)
        left = sys.maxsize if end is None else end - start
        file, chunk = await self._in_thread(partial(_open, self._path(key), key, start, min(CHUNK_BYTES, left)))
        try:
            while chunk:
                yield chunk
                left -= len(chunk)
                most = 0 if len(chunk) < CHUNK_BYTES else min(CHUNK_BYTES, left)
                chunk = await self._in_thread(partial(file.read, most)) if most else b""
        finally:
            file.close()

    async def url(self, key: str, *, media_type: str, filename: str, seconds: int) -> str | None:  # noqa: ARG002
        """Return None: no server could serve such a URL."""
        return None

    async def list(self, prefix: str) -> list[str]:
        """List with a deadline for every thousand keys: a folder may hold millions."""
        found: list[str] = []
        keys = keys_below(self._root, prefix)
        while some := await self._in_thread(lambda: [*islice(keys, LISTED_AT_ONCE)]):
            found += some
        return sorted(found)

    async def delete(self, keys: Sequence[str]) -> None:
        await self._in_thread(partial(delete_files, self._root, [self._path(key) for key in keys]))

    async def clear(self, folder: str) -> None:
        await self._in_thread(partial(delete_folder, self._root, self._path(folder)))

    async def ping(self) -> None:
        await self._in_thread(partial(_probe, self._root))
        self._refusals.mended()

    async def open(self) -> None:
        """Make the folder, and delete the partial files of killed writers."""
        await self._in_thread(partial(_prepare, self._root))

    def _path(self, key: str) -> Path:
        if not is_object_key(key):
            raise ValueError(f"{key!r} is no object key")
        return self._root / key

    async def _in_thread(self, function: Callable[[], T], seconds: float = CALL_SECONDS) -> T:
        try:
            seconds = allowed(seconds)
            async with asyncio.timeout(seconds):
                return await asyncio.to_thread(function)
        except TimeoutError as exc:
            raise BackendUnavailable("objects", str(exc) or f"no answer in {seconds:.3g} s") from exc
        except OSError as exc:
            raise self._refusals.error(exc, file_fault(exc, self._root)) from exc


@asynccontextmanager
async def open_filesystem_object_store(root: Path) -> AsyncIterator[FilesystemObjectStore]:
    """Open the folder, made where missing. Raises BackendUnavailable when it cannot be used."""
    store = FilesystemObjectStore(root)
    await store.open()
    yield store


def _prepare(root: Path) -> None:
    (root / _PARTIAL).mkdir(parents=True, exist_ok=True)
    for file in (root / _PARTIAL).iterdir():
        try:
            if file.stat().st_mtime < time.time() - STALE_SECONDS:
                file.unlink()
        except FileNotFoundError:
            continue
        except OSError as exc:  # a folder, or another user's
            log.warning("left in the folder of partial files", file=ascii(file.name), reason=str(exc))


def _write(root: Path, path: Path, data: bytes) -> None:
    partial_file = root / _PARTIAL / uuid4().hex
    try:
        partial_file.write_bytes(data)
        _move(partial_file, path)
    finally:
        partial_file.unlink(missing_ok=True)


def _move(source: Path, path: Path) -> None:
    for _ in range(10):  # a delete may take the empty folder away between the two lines
        path.parent.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):
            _replace(source, path)
            return
    raise FileNotFoundError(path)


def _replace(source: Path, path: Path) -> None:
    try:
        source.replace(path)
    except OSError as exc:
        if exc.errno != errno.EXDEV:
            raise
        # A mount or a link to another disk lies below the folder. No key begins with a dot.
        beside = path.with_name(f".{source.name}")
        try:
            shutil.copyfile(source, beside)
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def _open(path: Path, key: str, start: int, most: int) -> tuple[FileIO, bytes]:
    """Open the object and read its first chunk, of `most` bytes: most objects have no more."""
    if not path.is_file():  # a folder, or a pipe, which would be waited for
        raise ObjectNotFound(key)
    try:
        file = path.open("rb", buffering=0)
    except FileNotFoundError as exc:
        raise ObjectNotFound(key) from exc
    file.seek(start)
    chunk = file.read(most)
    if start and not chunk:
        file.close()
        raise ObjectNotFound(key, f"byte {start} of the object")
    return file, chunk


def _probe(root: Path) -> None:
    """Write as `_write` does: a full or read-only disk says nothing before that."""
    probe = root / _PARTIAL / uuid4().hex
    try:
        probe.write_bytes(b"\0")
    finally:
        probe.unlink(missing_ok=True)
