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

from services.common.budget import allowed
from services.common.errors import BackendUnavailable, NewerVersion
from services.common.faults.disk import is_stale, moved_file, sqlite_fault
from services.common.faults.refusals import Refusals
from services.common.sqlite.write_ahead_log import WriteAheadLog

DEADLINE_SECONDS = 2.5
FILE_VERSION = 1  # of the tables, kept in the file as its user_version; 0 is that of files from before it was kept
BUSY_SECONDS = 2.0  # how long a statement waits for another process's transaction; below the deadline

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class SQLiteFile:
    """Runs units of work one after the other; opened by `open_sqlite`.

    Every method raises BackendUnavailable when the file cannot be used or the deadline passes. After a passed
    deadline the work may still be done.

    After an error of the disk the connection is opened anew, since it keeps what it knew of the file. If another file
    lies at the path by then, nothing is written: SQLite would mix that file with the write-ahead log of this one.
    """

    def __init__(self, backend: str, deadline_seconds: float = DEADLINE_SECONDS) -> None:
        self._backend = backend
        self._deadline_seconds = deadline_seconds
        self._thread = ThreadPoolExecutor(1, f"{backend}-sqlite")
        self._connection: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None  # device and inode of the file
        self._path: Path | None = None
        self._log: WriteAheadLog | None = None
        self._schema: Sequence[str] = ()
        self._refusals = Refusals(backend)
        self.closed = False

    async def read(self, work: Work[T]) -> T:
        """Do work that changes nothing, without taking the lock that other processes' writers wait for."""
        return await self._run(lambda: work(self._open_connection))

    async def write(self, work: Work[T]) -> T:
        """Do the work as one transaction, undone when it raises."""
        return await self._run(lambda: _transact(self._writable_connection(), work))

    async def ping(self) -> None:
        """Write what is there already: a full or read-only disk says nothing to a reader."""
        await self.write(_rewrite_version)
        self._refusals.mended()

    async def connect(self, path: Path, schema: Sequence[str]) -> None:
        """`schema` holds statements which may be repeated. Raises NewerVersion for the file of a newer program."""
        self._path, self._log, self._schema = path, WriteAheadLog(path), schema
        await self._run(self._connect, max(DEADLINE_SECONDS, self._deadline_seconds))

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
            seconds = allowed(seconds)
            async with asyncio.timeout(seconds):
                return await asyncio.get_running_loop().run_in_executor(self._thread, self._in_thread, function)
        except TimeoutError as exc:
            raise BackendUnavailable(self._backend, str(exc) or f"no answer in {seconds:.3g} s") from exc
        except (sqlite3.Error, OSError) as exc:
            fault = None if self._backend == "cache" else sqlite_fault(exc, self._path)  # nothing in a cache is mended
            raise self._refusals.error(exc, fault) from exc

    def _in_thread(self, function: Callable[[], T]) -> T:
        try:
            return function()
        except sqlite3.Error as exc:
            if is_stale(exc):
                self._disconnect()
            raise

    @property
    def _open_connection(self) -> sqlite3.Connection:
        return self._connection or self._connect()

    def _writable_connection(self) -> sqlite3.Connection:
        self._refuse_another_file()
        connection = self._open_connection
        if self._log is not None:
            self._log.make_room(connection)
        return connection

    def _refuse_another_file(self) -> None:
        """Raise BackendRefused if another file lies at the path than was opened, or none."""
        if self._path is not None and self._opened not in (None, _identity(self._path)):
            reason = f"{self._path} was moved, replaced or deleted while it was in use"
            raise self._refusals.error(reason, moved_file(self._path))

    def _connect(self) -> sqlite3.Connection:
        if self._path is None:
            raise sqlite3.ProgrammingError("the file is not open")
        self._refuse_another_file()
        path = self._path
        path.parent.mkdir(parents=True, exist_ok=True)
        # isolation_level=None: transactions begin where this module says, not where the driver guesses.
        busy_seconds = min(BUSY_SECONDS, 0.8 * self._deadline_seconds)
        connection = sqlite3.connect(path, timeout=busy_seconds, isolation_level=None)
        try:
            _enter_wal(connection)
            WriteAheadLog.bound(connection)
            connection.execute("PRAGMA synchronous=NORMAL")
            # What was deleted is written over, or a prompt could be read from the file long after it was erased.
            connection.execute("PRAGMA secure_delete=ON")
            _transact(connection, self._create)
        except BaseException:
            connection.close()
            raise
        self._connection, self._opened = connection, _identity(path)
        return connection

    def _create(self, connection: sqlite3.Connection) -> None:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > FILE_VERSION:
            raise NewerVersion(self._backend, str(self._path), version)
        connection.execute(f"PRAGMA user_version={FILE_VERSION}")
        for statement in self._schema:
            connection.execute(statement)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


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


def _transact(connection: sqlite3.Connection, work: Work[T]) -> T:
    connection.execute("BEGIN IMMEDIATE")
    try:
        result = work(connection)
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself rolls back when the disk is full
            connection.execute("ROLLBACK")
        raise
    return result


def _rewrite_version(connection: sqlite3.Connection) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    connection.execute(f"PRAGMA user_version={version}")


def _identity(path: Path) -> tuple[int, int] | None:
    """Return device and inode of the file; None where it is not there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino
