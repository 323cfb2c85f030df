"""SIGTERM and SIGINT as events, so that stopping is a thing one waits for."""

import asyncio
import signal


def stop_event(hurry: asyncio.Event | None = None) -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT, and `hurry` by the second. Must be called on a running event loop."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    asked = 0

    def ask() -> None:
        nonlocal asked
        asked += 1
        stop.set()
        if hurry is not None and asked > 1:
            hurry.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ask)
    return stop
