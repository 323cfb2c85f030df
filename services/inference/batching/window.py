"""The batch window: how long a call that has room waits for more items."""

from typing import Final

WINDOW_SECONDS: Final = 0.03  # about what a client takes from one image to the next request
MOST_WINDOWS: Final = 3  # that a call waits in all


class BatchWindow:
    """A call for several items waits one window after the last that joined, and at most three windows.

    A call for a single item does not wait, so on its own a job is as fast as it can be, unless the call before it was
    for several jobs: their clients come back together, and a call for the first of them alone would keep the others
    waiting. Times are seconds on any clock.
    """

    def __init__(self, seconds: float = WINDOW_SECONDS) -> None:
        self._seconds = seconds

    def until(self, count: int, opened_at: float, joined_at: float, *, shared: bool) -> float:
        """Return the time until which a call for `count` items waits.

        `opened_at` is when it might have begun, `joined_at` when the last item joined; `shared` is true if the
        call before was for several jobs.
        """
        if count == 1 and not shared:
            return opened_at
        return min(joined_at + self._seconds, opened_at + MOST_WINDOWS * self._seconds)
