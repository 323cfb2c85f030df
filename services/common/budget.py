"""The time that the calls for one request have together, beside the deadline that each call has for itself.

The gateway gives every request a budget, and backends look here how long a call may take. Workers, commands and the
gateway's own tasks have none. A task has the budget of the one that made it.
"""

import asyncio
import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Budget:
    """Begins now, on the clock of the event loop."""

    def __init__(self, seconds: float) -> None:
        self._clock = asyncio.get_running_loop().time
        self._end = self._clock() + seconds

    @property
    def left(self) -> float:
        """The seconds left, 0 or fewer when it is used up."""
        return self._end - self._clock()

    def extend(self, seconds: float) -> None:
        self._end += seconds

    def lift(self) -> None:
        """Let every call take its own time from now on."""
        self._end = math.inf


_budget: ContextVar[Budget | None] = ContextVar("budget", default=None)


@contextmanager
def time_budget(budget: Budget | None) -> Iterator[None]:
    """Have the calls of the block share this budget; None for work of several requests, or that outlasts its own."""
    token = _budget.set(budget)
    try:
        yield
    finally:
        _budget.reset(token)


def time_left() -> float:
    """Return the seconds left of the budget, infinity without one."""
    budget = _budget.get()
    return math.inf if budget is None else budget.left


def extend_budget(seconds: float) -> None:
    """Add the time that something takes by itself: a wait that was asked for, or the way of many bytes."""
    budget = _budget.get()
    if budget is not None:
        budget.extend(seconds)


def allowed(seconds: float) -> float:
    """Return how long a call may take whose own deadline is so many seconds.

    Raises TimeoutError when the budget is used up: such a call must not begin, since what it does would stay unknown.
    """
    left = time_left()
    if left <= 0:
        raise TimeoutError("the time for the request is used up")
    return min(seconds, left)
