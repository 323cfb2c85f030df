"""The preview throttle: how often a call of the model is asked for previews."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from services.inference.runtime.outputs import Preview

log = structlog.get_logger(__name__)

FIRST_SECONDS: Final = 0.5  # a shorter call has no preview
PAUSE_SECONDS: Final = 1.0  # clients poll once a second
MOST_SHARE: Final = 0.005  # of the call's time may go into previews


class PreviewThrottle:
    """Belongs to one call and is used in the model thread."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due = clock() + FIRST_SECONDS

    def previews(self, preview: Callable[[], Sequence[Preview]]) -> Sequence[Preview]:
        """Return one preview per item, or none when it is not time. A preview that raises fails no job."""
        begin = self._clock()
        if begin < self._due:
            return ()
        try:
            previews = preview()
        except Exception:
            log.exception("preview failed, this call gets no more")
            self._due = math.inf
            return ()
        took = self._clock() - begin
        self._due = begin + max(PAUSE_SECONDS, took / MOST_SHARE)
        return previews
