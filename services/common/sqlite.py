"""One connection to an SQLite file that several processes share, in a thread of its own.

A unit of work is a plain function that runs there from its first statement to its last. So it costs one hop
however many statements it has, and a cancelled caller can never leave a transaction half done.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from services.common.errors import BackendUnavailable, NewerVersion

DEADLINE_SECONDS = 2.5
FILE_VERSION = 1  # of the tables, kept in the file as its user_version; 0 is that of files from before it was kept
BUSY_SECONDS = 2.0  # how long a statement waits for another process's transaction; below the deadline

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class SQLiteFile:
    """Runs units of work one after the other; opened by `open_sqlite`.

    Every method raises BackendUnavailable when the file cannot be used or the deadline passes. After a passed
    deadline the work may still be done.
    """

    def __init__(self, backend: str, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._backend = backend
        self._deadline_seconds = deadline_seconds
        self._thread = ThreadPoolExecutor(1, f"{backend}-sqlite")
        self._connection: sqlite3.Connection | None = None
        self.closed = False

    async def read(self, work: Work[T]) -> T:
        """Do work that changes nothing, without taking the lock that other processes' writers wait for."""
        return await self._run(lambda: work(self._open_connection))

    async def write(self, work: Work[T]) -> T:
        """Do the work as one transaction, undone when it raises."""
        return await self._run(lambda: self._transact(work))

    async def connect(self, path: Path, schema: Sequence[str]) -> None:
        """`schema` holds statements which may be repeated. Raises NewerVersion for the file of a newer program."""
        await self._run(lambda: self._connect(path, schema), max(DEADLINE_SECONDS, self._deadline_seconds))

    async def close(self) -> None:
        """Finish the work handed in, then close. The thread ends by itself, even when the file hangs."""
        try:
            await self._run(self._disconnect)
        finally:
            self.closed = True
            self._thread.shutdown(wait=False)

    async def _run(self, function: Callable[[], T], seconds: float | None = None) -> T:
        seconds = seconds or self._deadline_seconds
        if self.closed:
            raise BackendUnavailable(self._backend, "closed")
        try:
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._thread, function)
        except TimeoutError as exc:
            raise BackendUnavailable(self._backend, f"no answer in {seconds:g} s") from exc
        except (sqlite3.Error, OSError) as exc:
            raise BackendUnavailable(self._backend, exc) from exc

    @property
    def _open_connection(self) -> sqlite3.Connection:
        if self._connection is None:
            raise sqlite3.ProgrammingError("the file is not open")
        return self._connection

    def _connect(self, path: Path, schema: Sequence[str]) -> None:
        # isolation_level=None: transactions begin where this module says, not where the driver guesses.
        busy_seconds = min(BUSY_SECONDS, 0.8 * self._deadline_seconds)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
        except (OSError, sqlite3.Error) as exc:
            reason = f"{path} cannot be opened ({exc}): this user must be able to write to that file and its folder"
            raise OSError(reason) from exc
        _enter_wal(self._connection)
        self._connection.execute("PRAGMA synchronous=NORMAL")
        # What was deleted is written over, or a prompt could be read from the file long after it was erased.
        self._connection.execute("PRAGMA secure_delete=ON")

        def create(connection: sqlite3.Connection) -> None:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > FILE_VERSION:
                raise NewerVersion(self._backend, str(path), version)
            connection.execute(f"PRAGMA user_version={FILE_VERSION}")
            for statement in schema:
                connection.execute(statement)

        self._transact(create)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _transact(self, work: Work[T]) -> T:
        connection = self._open_connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            result = work(connection)
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:  # SQLite itself rolls back when the disk is full
                connection.execute("ROLLBACK")
            raise
        return result


@asynccontextmanager
async def open_sqlite(
    path: Path, backend: str, schema: Sequence[str], deadline_seconds: float = DEADLINE_SECONDS
) -> AsyncIterator[SQLiteFile]:
    """Open the file, made with its folder where missing. `backend` is the name that errors carry."""
    file = SQLiteFile(backend, deadline_seconds)
    try:
        await file.connect(path, schema)
        yield file
    finally:
        await file.close()


def _enter_wal(connection: sqlite3.Connection) -> None:
    """Retry while another process makes the same new file: here SQLite refuses at once instead of waiting."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return
