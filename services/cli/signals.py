"""SIGTERM and SIGINT as an event, so that stopping is a thing one waits for."""

import asyncio
import signal


def stop_event() -> asyncio.Event:
    """Set by the first SIGTERM or SIGINT. Must be called on a running event loop."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
