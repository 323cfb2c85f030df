"""Puts a range of seconds into words as people say it: `about 2 s`, `6 to 9 s`, `2 to 3 min`."""

import math
from typing import Final

from services.api.core.model_queue import Eta

_MINUTES_FROM: Final = 120  # seconds


def eta_words(eta: Eta | None) -> str:
    """Return the words, rounded up so that they never promise too much; empty without an estimate."""
    if eta is None:
        return ""
    if eta.high <= 1:
        return "about a second"
    unit, seconds = ("min", 60) if eta.high >= _MINUTES_FROM else ("s", 1)
    low, high = max(1, math.floor(eta.low / seconds)), math.ceil(eta.high / seconds)
    return f"about {high} {unit}" if high - low <= 1 else f"{low} to {high} {unit}"
