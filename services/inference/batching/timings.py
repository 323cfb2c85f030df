"""Timings of the model's calls, from which gateways estimate how long jobs wait."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from services.common.presence import Pace
from services.inference.runtime.adapter import Item

NEWEST_SHARE: Final = 0.3  # of the newest call in the moving averages
FIRST_SPREAD: Final = 0.25  # of the next call, as a share, when only one has been timed
BUCKETS: Final = 32  # whose pace is remembered


class CallTimings:
    """Moving averages over `calls` calls: `paces` by bucket, the newest last. `busy` is true during a call."""

    def __init__(self, clock: Callable[[], float] = time.perf_counter) -> None:
        self.busy = False
        self.calls = 0
        self.paces: dict[str, Pace] = {}
        self._clock = clock

    @contextmanager
    def call(self, items: Sequence[Item]) -> Iterator[None]:
        """Time the block as one call for these items. A call that raises is not counted."""
        self.busy, begin = True, self._clock()
        try:
            yield
            self._note(items, self._clock() - begin)
        finally:
            self.busy = False

    def _note(self, items: Sequence[Item], seconds: float) -> None:
        self.calls += 1
        bucket, units = items[0].cost.bucket, [item.cost.units for item in items]
        newest = Pace(call=seconds / max(units), each=seconds / sum(units), spread=FIRST_SPREAD)
        known = self.paces.pop(bucket, None)
        if known is not None and self.calls > 2:  # the first call also warmed up the layers below
            off = abs(newest.each - known.each) / known.each
            newest = Pace(
                call=_moved(known.call, newest.call),
                each=_moved(known.each, newest.each),
                spread=_moved(known.spread, off),
            )
        self.paces[bucket] = newest
        if len(self.paces) > BUCKETS:
            del self.paces[next(iter(self.paces))]


def _moved(before: float, newest: float) -> float:
    return before + NEWEST_SHARE * (newest - before)
