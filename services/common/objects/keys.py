"""The names of objects: what else lies in a folder or a bucket has another kind of name, and is not ours."""

import re

_KEY = re.compile(r"[a-z0-9_-][a-z0-9._-]*(/[a-z0-9_-][a-z0-9._-]*)*")


def is_object_key(text: str) -> bool:
    """Return whether this is a relative path of plain names, none of which begins with a dot."""
    return _KEY.fullmatch(text) is not None
