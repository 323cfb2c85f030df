"""The write-ahead log of an SQLite file: kept small, and never let grow until it cannot be emptied any more.

SQLite copies the log into its file after a commit, and begins it anew once no reader needs it. A reader that stays
(a shell, a backup, a process that stands still) makes it grow with every write, though the records stay as few. On a
full disk it stays for ever: nothing is committed, so nothing is copied, and to copy takes room if the file has to grow.
So room for that is left on the disk, and a log that has grown is emptied before the next write.
"""

import os
import sqlite3
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

KEPT_BYTES: Final = 4 << 20  # SQLite copies a log of this length
LONG_BYTES: Final = 5 << 20  # a log longer than this is being kept by a reader
MOST_BYTES: Final = 1 << 30  # and then no more is written, so that other programs keep their disk
SCARCE_BYTES: Final = 8 << 20  # with less free on the disk, every log is emptied at once
RESERVED_BYTES: Final = 512 << 10  # of the disk, for one transaction more and its copy
RETRY_SECONDS: Final = 0.2  # between two attempts to empty a log that a reader keeps


class WriteAheadLog:
    """The log of the file at `path`. For the thread of its connection."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._log = f"{path}-wal"
        self._folder = str(path.parent)
        self._tried_at = -RETRY_SECONDS

    @staticmethod
    def bound(connection: sqlite3.Connection) -> None:
        """Have SQLite cut a log that had grown when it begins it anew."""
        connection.execute(f"PRAGMA journal_size_limit={KEPT_BYTES}")

    def make_room(self, connection: sqlite3.Connection) -> None:
        """Empty a log that is long, or on a disk that is nearly full. Call it before a transaction.

        Raises OperationalError, as SQLite does for a full disk, where a write would use up the room for emptying it,
        and for a log of MOST_BYTES.
        """
        length, free = _length(self._log), self._free()
        if length <= LONG_BYTES and free >= SCARCE_BYTES:
            return
        if length and time.monotonic() >= self._tried_at + RETRY_SECONDS:
            self._empty(connection)
        if not self._has_room(connection):
            self._empty(connection)
            if not self._has_room(connection):
                raise _disk_full(self._path)

    def _has_room(self, connection: sqlite3.Connection) -> bool:
        free = self._free()
        room = free >= SCARCE_BYTES or free >= RESERVED_BYTES + self._growth(connection)
        return room and _length(self._log) <= MOST_BYTES

    def _empty(self, connection: sqlite3.Connection) -> None:
        """Copy the log into the file and cut it, unless another connection reads or writes just now."""
        self._tried_at = time.monotonic()
        (waits,) = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute("PRAGMA busy_timeout=0")
        with suppress(sqlite3.OperationalError):  # the write that follows tells what is wrong with the disk
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        connection.execute(f"PRAGMA busy_timeout={waits}")

    def _free(self) -> int:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    def _growth(self, connection: sqlite3.Connection) -> int:
        """Return the bytes by which the file grows when the log is copied into it."""
        (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
        return max(int(pages * size) - _length(self._path), 0)


def _length(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116 - before every write, and three times as fast
    except FileNotFoundError:
        return 0


def _disk_full(path: str) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError(f"the disk of {path} has no room left for its write-ahead log")
    error.sqlite_errorcode = sqlite3.SQLITE_FULL
    return error
