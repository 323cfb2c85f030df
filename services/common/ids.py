"""Job ids: UUIDv7 (RFC 9562), so they sort by time, and their 74 random bits cannot be guessed."""

import re
import time
from collections.abc import Callable
from typing import Final
from uuid import UUID

import uuid6

_CANONICAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
_TIME_BITS: Final = 80  # the place of the milliseconds, before version, variant and randomness
_ORDERED_MILLISECONDS: Final = 1000


class JobIds:
    """Makes ids that show the time of `clock`, in Unix seconds.

    They are in order within a millisecond, too, unless the clock was set back.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._last = 0

    def new(self) -> str:
        made = int(self._clock() * 1000)
        if made <= self._last <= made + _ORDERED_MILLISECONDS:
            made = self._last + 1
        self._last = made
        return str(UUID(int=made << _TIME_BITS | uuid6.uuid7().int % (1 << _TIME_BITS)))


new_job_id: Final = JobIds().new


def is_job_id(text: str) -> bool:
    """Return whether this is a job id in its canonical spelling: one job has one URL and one object key."""
    return _CANONICAL.fullmatch(text) is not None


def created_at(job_id: str) -> float:
    """Return when the id was made, in Unix seconds: its first 48 bits are milliseconds."""
    return (UUID(job_id).int >> _TIME_BITS) / 1000
