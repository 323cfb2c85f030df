"""The clock of an SQLite file: all processes of the machine read the same, and setting the time does not change it.

It is the machine's monotonic clock, moved once so that it shows about the time of day. That move is kept in the file.
The monotonic clock begins anew when the machine does, and another machine has another one. Times that were measured
before then mean nothing, and each user of the clock is told so when it opens the file.
"""

import sqlite3
import subprocess  # nosec B404
import time
from functools import cache
from pathlib import Path
from typing import Final

# `clock` names the user of the clock: each has to be told by itself that the machine was started again.
SCHEMA: Final = """CREATE TABLE IF NOT EXISTS clocks (
    clock TEXT PRIMARY KEY, boot TEXT NOT NULL, ahead REAL NOT NULL, seen REAL NOT NULL)"""
_LINUX: Final = Path("/proc/sys/kernel/random/boot_id")
_MACOS: Final = ("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid")


class SQLiteClock:
    """Returns seconds, about those of the time of day unless that was set since. Made by `open_clock`."""

    def __init__(self, ahead: float) -> None:
        self._ahead = ahead

    def __call__(self) -> float:
        return time.monotonic() + self._ahead


def open_clock(name: str, connection: sqlite3.Connection) -> tuple[SQLiteClock, bool]:
    """Return the clock, and true if times measured by it before mean nothing. For use within a transaction."""
    boot, now = boot_id(), time.monotonic()
    row = connection.execute("SELECT boot, ahead, seen FROM clocks WHERE clock = ?", (name,)).fetchone()
    begun_anew = row is not None and (row[0] != boot or now < row[2])
    ahead = time.time() - now if row is None or begun_anew else row[1]
    connection.execute("INSERT OR REPLACE INTO clocks VALUES (?, ?, ?, ?)", (name, boot, ahead, now))
    return SQLiteClock(ahead), begun_anew


@cache
def boot_id() -> str:
    """Return the id of this start of the machine; empty where the system has none."""
    try:
        if _LINUX.exists():
            return _LINUX.read_text("ascii").strip()
        done = subprocess.run(_MACOS, capture_output=True, text=True, timeout=2, check=False)  # noqa: S603 - constant  # nosec B603
        return done.stdout.strip()
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
