"""A time of day that a test sets, as NTP does: `time.time` and `time.time_ns` show it, and no other clock.

`python -m tests.support.wall_clock FILE ...` runs `studio ...` by a clock that goes ahead by the seconds in the file.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

_TIME, _TIME_NS = time.time, time.time_ns


class WallClock:
    """`ahead` is the number of seconds by which the clock goes ahead of the right time."""

    def __init__(self, patch: Callable[[object, str, object], None] = setattr) -> None:
        self.ahead = 0.0
        patch(time, "time", lambda: _TIME() + self._read())
        patch(time, "time_ns", lambda: _TIME_NS() + int(self._read() * 1e9))

    def _read(self) -> float:
        return self.ahead


class FileClock(WallClock):
    """A clock that another process sets, by writing into the file."""

    def __init__(self, file: Path) -> None:
        self._file = file
        super().__init__()

    def _read(self) -> float:
        return float(self._file.read_text())


def wall_clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    """Return a clock that goes right again after the test."""
    return WallClock(monkeypatch.setattr)


if __name__ == "__main__":
    FileClock(Path(sys.argv.pop(1)))
    from services.__main__ import main

    main()
