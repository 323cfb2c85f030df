"""The stages of a call of a model adapter, and when each began and ended."""

import time
from dataclasses import dataclass
from itertools import pairwise


@dataclass(frozen=True)
class Stage:
    """One stage. `begin` and `end` are in nanoseconds since 1970."""

    name: str
    begin: int
    end: int

    @property
    def seconds(self) -> float:
        return (self.end - self.begin) / 1e9


class Stages:
    """The stages of one call. `enter` is called in the model thread, `so_far` on the event loop."""

    def __init__(self) -> None:
        self._entered: list[tuple[str, int]] = []
        self._epoch = time.time_ns() - time.perf_counter_ns()  # so that setting the clock changes no duration

    def enter(self, name: str) -> None:
        """Begin the stage `name`, until the next one or the end of the call. The current name again changes nothing."""
        if not self._entered or self._entered[-1][0] != name:
            self._entered.append((name, self._now()))

    def so_far(self) -> list[Stage]:
        """Return the stages entered so far. The last one ends now."""
        entered = [*self._entered, ("", self._now())]
        return [Stage(name, begin, end) for (name, begin), (_, end) in pairwise(entered)]

    def _now(self) -> int:
        return self._epoch + time.perf_counter_ns()
