"""The streams that a person or another program reads, in a locale that may have fewer characters than our texts."""

import sys
from io import TextIOWrapper


def write_any_text() -> None:
    """Have standard output and error write a character that their encoding lacks as an escape, so that nothing is lost.

    In a locale that is not UTF-8 a title or a file name would end the command with a traceback.
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
