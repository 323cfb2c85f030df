"""The names of objects, and of parts of them. All else in a folder or a bucket has other names, and is not ours."""

import re

_KEY = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")


def is_object_key(text: str) -> bool:
    """Return whether this is a relative path of plain names, none of which begins with a dot."""
    return _KEY.fullmatch(text) is not None


def check_range(start: int, end: int | None) -> None:
    """Raise ValueError unless there may be bytes from `start` to before `end`; without one, to the object's end."""
    if start < 0 or (end is not None and end <= start):
        raise ValueError(f"{start} to {end} is no range of bytes")
