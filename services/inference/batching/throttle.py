"""When a call of the model is asked for previews: seldom enough to cost next to nothing."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from services.inference.runtime.outputs import Preview

log = structlog.get_logger(__name__)

FIRST_SECONDS: Final = 0.5  # a call shorter than this has no preview at all
PAUSE_SECONDS: Final = 1.0  # clients look once a second
MOST_SHARE: Final = 0.005  # of the call's time may go into them


class PreviewThrottle:
    """One a call, used in the model thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = clock() + FIRST_SECONDS

    def pictures(self, preview: Callable[[], Sequence[Preview]]) -> Sequence[Preview]:
        """One an item, or none when it is not time. Whatever an adapter does wrong here fails no job."""
        begin = self._clock()
        if begin < self._due:
            return ()
        try:
            pictures = preview()
        except Exception:
            log.exception("preview failed, this call gets no more")
            self._due = math.inf
            return ()
        took = self._clock() - begin
        self._due = begin + max(PAUSE_SECONDS, took / MOST_SHARE)
        return pictures
