"""The embedded object store: one file an object below a folder. Readers see a whole object or none."""

import asyncio
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from io import FileIO
from itertools import islice
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from services.common.errors import BackendUnavailable, ObjectNotFound, StorageDenied

CALL_SECONDS = 2.5
PUT_SECONDS = 10.0
CHUNK_BYTES = 256 * 1024
STALE_SECONDS = 3600.0
LISTED_AT_ONCE = 1000
_PARTIAL = ".partial"  # where writes begin; no key segment starts with a dot
_KEY = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")

T = TypeVar("T")


class FilesystemObjectStore:
    """See the port `ObjectStore`. Opened by `open_filesystem_object_store`.

    Raises ValueError for a key that is no relative path of plain names, so that none leads out of the folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    async def put(self, key: str, data: bytes, media_type: str) -> None:  # noqa: ARG002 - a file has no media type
        await _in_thread(partial(_write, self._root, self._path(key), data), PUT_SECONDS)

    async def get(self, key: str) -> AsyncGenerator[bytes, None]:
        file, chunk = await _in_thread(partial(_open, self._path(key), key))
        try:
            while chunk:
                yield chunk
                chunk = b"" if len(chunk) < CHUNK_BYTES else await _in_thread(partial(file.read, CHUNK_BYTES))
        finally:
            file.close()

    async def url(self, key: str, *, media_type: str, filename: str, seconds: int) -> str | None:  # noqa: ARG002
        """Return None: no server could serve such a URL."""
        return None

    async def list(self, prefix: str) -> list[str]:
        """List with a deadline for every thousand keys: a folder may hold millions."""
        found: list[str] = []
        keys = _keys_below(self._root, prefix)
        while some := await _in_thread(lambda: [*islice(keys, LISTED_AT_ONCE)]):
            found += some
        return sorted(found)

    async def delete(self, keys: Sequence[str]) -> None:
        await _in_thread(partial(_delete, self._root, [self._path(key) for key in keys]))

    async def ping(self) -> None:
        await _in_thread(partial(_check, self._root))

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"{key!r} is no object key")
        return self._root / key


@asynccontextmanager
async def open_filesystem_object_store(root: Path) -> AsyncIterator[FilesystemObjectStore]:
    """Open the folder, made where missing. Raises BackendUnavailable when it cannot be used."""
    await _in_thread(partial(_prepare, root))
    yield FilesystemObjectStore(root)


async def _in_thread(function: Callable[[], T], seconds: float = CALL_SECONDS) -> T:
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.to_thread(function)
    except TimeoutError as exc:
        raise BackendUnavailable("objects", f"no answer in {seconds:g} s") from exc
    except PermissionError as exc:
        raise StorageDenied(exc) from exc
    except OSError as exc:
        raise BackendUnavailable("objects", exc) from exc


def _prepare(root: Path) -> None:
    """Make the folder, and delete the partial files of killed writers."""
    (root / _PARTIAL).mkdir(parents=True, exist_ok=True)
    for file in (root / _PARTIAL).iterdir():
        with suppress(FileNotFoundError):
            if file.stat().st_mtime < time.time() - STALE_SECONDS:
                file.unlink()


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
            source.replace(path)
            return
    raise FileNotFoundError(path)


def _open(path: Path, key: str) -> tuple[FileIO, bytes]:
    """Open the object and read its first chunk: most objects have no more."""
    try:
        file = path.open("rb", buffering=0)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError) as exc:
        raise ObjectNotFound(key) from exc
    return file, file.read(CHUNK_BYTES)


def _keys_below(root: Path, prefix: str) -> Iterator[str]:
    folder = prefix.rpartition("/")[0]
    if folder and not _KEY.fullmatch(folder):
        raise ValueError(f"{prefix!r} is no prefix of object keys")
    for parent, folders, files in os.walk(root / folder):
        within = Path(parent).relative_to(root)
        folders[:] = [name for name in folders if name != _PARTIAL]
        keys = ((within / name).as_posix() for name in files)
        yield from (key for key in keys if key.startswith(prefix))


def _delete(root: Path, paths: Sequence[Path]) -> None:
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        for folder in path.parents:
            if folder == root:
                break
            try:
                folder.rmdir()
            except OSError:  # others' objects are in it
                break


def _check(root: Path) -> None:
    if not os.access(root / _PARTIAL, os.W_OK | os.X_OK):
        raise PermissionError(f"{root} cannot be written")
