"""A long-lived process: its stop on a signal, its garbage collector, and what it may open and write."""

import asyncio
import gc
import os
import resource
import signal
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

MOST_FILES: Final = 65_536


def stop_event(hurry: asyncio.Event | None = None) -> asyncio.Event:
    """Return an event that the first SIGTERM or SIGINT sets; the second sets `hurry`.

    Must be called on a running event loop.
    """
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


def freeze_heap() -> None:
    """Exempt everything loaded so far from garbage collection; call it when the start is over.

    A full collection stops every thread of the process, the model's among them: by `just bench looplag` each took
    230 ms in a worker with torch and diffusers, and takes 5 to 10 ms with this.
    """
    gc.collect()  # first, or the garbage would stay as well
    gc.freeze()


def ensure_temporary_folder(data_dir: Path) -> None:
    """Use a folder in `data_dir` if the system's for temporary files cannot be written, as in a read-only container.

    torch asks for one as it is imported. Child processes get the same.
    """
    try:
        tempfile.gettempdir()
    except FileNotFoundError:
        folder = data_dir.absolute() / "tmp"
        with suppress(OSError):  # a command that needs neither goes on
            folder.mkdir(parents=True, exist_ok=True)
            os.environ["TMPDIR"] = str(folder)


def raise_file_limit() -> None:
    """Use as many open files as the system allows, up to MOST_FILES: each connection is one, and macOS begins with 256.

    Child processes may open as many.
    """
    now, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_FILES if allowed == resource.RLIM_INFINITY else min(allowed, MOST_FILES)
    if now != resource.RLIM_INFINITY and now < most:
        with suppress(OSError, ValueError):  # macOS allows fewer than it says
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, allowed))
