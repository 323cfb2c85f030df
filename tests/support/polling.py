"""Waits for a condition of another process that no event announces."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

POLL_SECONDS = 0.05


def poll(check: Callable[[], T | None], seconds: float, describe: Callable[[], object] = str) -> T:
    """Call `check` until its result is true, and return the result.

    Raises AssertionError with the last result and `describe()` when none was true in time.
    """
    deadline = time.monotonic() + seconds
    while not (result := check()):
        assert time.monotonic() < deadline, f"not in {seconds:g} s: {result}\n{describe()}"
        time.sleep(POLL_SECONDS)
    return result
