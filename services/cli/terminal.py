"""The standard streams, as a person, a shell or a service manager leaves them: closed, full, or without our letters."""

import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from typing import Final, TextIO

from services.cli.exits import errors
from services.cli.tables import NARROWEST

_MODES: Final = {"stdin": "r", "stdout": "w", "stderr": "w"}
_NOT_WRITTEN: Final = 1


@contextmanager
def standard_streams() -> Iterator[None]:
    """Open closed streams, write any text, and end quietly when a reader leaves, or with a sentence on a full disk."""
    _open_closed()
    _write_any_text()
    _forget_no_width()
    try:
        try:
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()  # here, where a failure can still be told
    except OSError as exc:
        if exc.filename is not None:  # of a file
            raise
        if exc.errno != errno.EPIPE:
            with suppress(OSError):
                print(f"standard output could not be written: {exc.strerror or exc}", file=sys.stderr, flush=True)
        give_up(sys.stdout)
        give_up(sys.stderr)
        sys.exit(_NOT_WRITTEN)


def _open_closed() -> None:
    """Open the null device for each stream that is closed.

    The next file or connection would get its number otherwise, and in it what a library writes to the stream.
    """
    for name, mode in _MODES.items():
        if getattr(sys, name) is None:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free, so that of the stream
            os.set_inheritable(number, number < len(_MODES))
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 - until the process ends


def _write_any_text() -> None:
    """Have standard output and error write a character that their encoding lacks as an escape, so that nothing is lost.

    In a locale that is not UTF-8 a title or a file name would end the command with a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _forget_no_width() -> None:
    """Leave out a COLUMNS of 0, which some shells and editors set: rich and typer would print nothing."""
    if os.environ.get("COLUMNS", "none").strip("0") == "":
        del os.environ["COLUMNS"]
    if not errors.width:
        errors.width = NARROWEST


def give_up(stream: TextIO) -> None:
    """Send what is left in the stream's buffer nowhere: Python would try it again at exit, and print a traceback."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
