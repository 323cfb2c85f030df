"""How long a call that has room waits for more to join it."""

import asyncio
from typing import Final

WINDOW_SECONDS: Final = 0.02  # after the last that came, where others wait already: what comes together comes in a row
LONGEST_WINDOW_SECONDS: Final = 0.06
# Who has just been answered together asks again together: all are waited for, for this share of what the call took.
CROWD_SHARE: Final = 0.2
CROWD_SECONDS: Final = 0.25  # at most


class BatchWindow:
    """Times are the event loop's."""

    def __init__(self) -> None:
        self._crowd, self._crowd_until = 0, 0.0

    def expect(self, crowd: int, call_seconds: float) -> None:
        """A call is over, and so many may soon be there: who was answered and asks again, and who waits already."""
        self._crowd = crowd
        self._crowd_until = asyncio.get_running_loop().time() + min(CROWD_SECONDS, CROWD_SHARE * call_seconds)

    def until(self, count: int, since: float, last: float) -> float:
        """When a call for `count` things waits no longer, which might have begun at `since` and was joined at `last`.

        A lone one never waits, nor do as many as are expected.
        """
        if count == self._crowd and self._crowd_until > asyncio.get_running_loop().time():
            return 0.0
        window = min(last + WINDOW_SECONDS, since + LONGEST_WINDOW_SECONDS) if count > 1 else 0.0
        return max(window, self._crowd_until if count < self._crowd else 0.0)
