"""Watches how late the event loop is: work that blocks it delays every request and every job."""

import asyncio
from typing import Final, NoReturn

from prometheus_client import Histogram

LOOK_SECONDS: Final = 0.5


async def watch_loop_lag(lag: Histogram) -> NoReturn:
    """Sleep in a loop, and observe by how many seconds each sleep was too long."""
    now = asyncio.get_running_loop().time
    while True:
        due = now() + LOOK_SECONDS
        await asyncio.sleep(LOOK_SECONDS)
        lag.observe(max(0.0, now() - due))
