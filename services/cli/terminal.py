"""The streams that a person or another program reads, in a locale that may have fewer characters than our texts."""

import os
import sys
from contextlib import suppress
from io import TextIOWrapper


def write_any_text() -> None:
    """Have standard output and error write a character that their encoding lacks as an escape, so that nothing is lost.

    In a locale that is not UTF-8 a title or a file name would end the command with a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def keep_standard_streams() -> None:
    """Open each standard stream that the program was started without, on nothing.

    The next file or connection would get its number, and the event loop aborts when it closes one of these.
    """
    for number in range(3):
        with suppress(OSError):
            os.fstat(number)
            continue
        os.open(os.devnull, os.O_RDWR)
    if sys.stderr is None:
        sys.stderr = os.fdopen(2, "w", closefd=False)  # libraries write to it unasked
