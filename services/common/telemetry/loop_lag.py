"""Watches how late the event loop is: what keeps it busy keeps every request and every job waiting."""

import asyncio
from typing import Final, NoReturn

from prometheus_client import Histogram

LOOK_SECONDS: Final = 0.5


async def watch_loop_lag(lag: Histogram) -> NoReturn:
    """Sleep again and again, and note by how many seconds too long it was."""
    now = asyncio.get_running_loop().time
    while True:
        due = now() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        lag.observe(max(0.0, now() - due))
