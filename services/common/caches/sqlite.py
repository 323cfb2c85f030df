"""The embedded cache: a file beside the one of the status store, so that its writes keep no job waiting.

SQLite lets one process write to a file at a time. The file may be deleted while no process has it open.
"""

import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Final

from services.common.errors import BackendUnavailable
from services.common.sqlite.clock import SCHEMA as CLOCK_SCHEMA
from services.common.sqlite.clock import SQLiteClock, open_clock
from services.common.sqlite.file import SQLiteFile, open_sqlite

CALL_SECONDS: Final = 0.5  # data that may be lost is not waited for

# `forget_at` by the clock of the file, in seconds.
_SCHEMA: Final = (
    CLOCK_SCHEMA,
    "CREATE TABLE IF NOT EXISTS cache (key TEXT PRIMARY KEY, folder TEXT NOT NULL, value BLOB, forget_at REAL)",
    "CREATE INDEX IF NOT EXISTS cache_folders ON cache (folder)",
    "CREATE INDEX IF NOT EXISTS cache_by_time ON cache (forget_at)",
)


class SQLiteCache:
    """See the port `Cache`. Opened by `open_sqlite_cache`."""

    def __init__(self, file: SQLiteFile, clock: SQLiteClock) -> None:
        self._file = file
        self._clock = clock

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        def work(connection: sqlite3.Connection) -> None:
            now = self._clock()
            connection.execute("DELETE FROM cache WHERE forget_at <= ?", (now,))
            row = (key, key.rpartition("/")[0], value, now + seconds)
            connection.execute("INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?)", row)

        await self._file.write(work)

    async def get(self, key: str) -> bytes | None:
        def work(connection: sqlite3.Connection) -> bytes | None:
            query = "SELECT value FROM cache WHERE key = ? AND forget_at > ?"
            row = connection.execute(query, (key, self._clock())).fetchone()
            return row[0] if row else None

        return await self._file.read(work)

    async def list(self, folder: str) -> dict[str, bytes]:
        def work(connection: sqlite3.Connection) -> dict[str, bytes]:
            query = "SELECT key, value FROM cache WHERE folder = ? AND forget_at > ?"
            return dict(connection.execute(query, (folder, self._clock())).fetchall())

        return await self._file.read(work)

    async def delete(self, keys: Sequence[str]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM cache WHERE key = ?", [(key,) for key in keys])

        if keys:
            await self._file.write(work)


@asynccontextmanager
async def open_sqlite_cache(path: Path) -> AsyncIterator[SQLiteCache]:
    """Open the file, made if missing or damaged. Raises BackendUnavailable when it cannot be used."""
    async with AsyncExitStack() as stack:
        try:
            file = await stack.enter_async_context(_open(path))
        except BackendUnavailable as exc:
            if not _damaged(exc.__cause__):
                raise
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            file = await stack.enter_async_context(_open(path))
        yield SQLiteCache(file, await file.write(_begin_clock))


def _begin_clock(connection: sqlite3.Connection) -> SQLiteClock:
    """Return the clock by which values are forgotten: at once those from before the machine was started."""
    clock, begun_anew = open_clock("cache", connection)
    if begun_anew:
        connection.execute("DELETE FROM cache")
    return clock


def _open(path: Path) -> AbstractAsyncContextManager[SQLiteFile]:
    return open_sqlite(path, "cache", _SCHEMA, CALL_SECONDS)


def _damaged(reason: BaseException | None) -> bool:
    """Return whether the file is damaged; operational errors come from the disk or from another process."""
    return isinstance(reason, sqlite3.DatabaseError) and not isinstance(reason, sqlite3.OperationalError)
