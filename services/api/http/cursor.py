"""Where a page of jobs ends, as a word that clients hand back without reading it."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final
from uuid import UUID

PATTERN: Final = r"^[A-Za-z0-9_-]{21}[AQgw]$"  # 128 bits in base64: the last letter holds two of them


def cursor_behind(job_id: str) -> str:
    """The cursor of what follows this job in a list."""
    return urlsafe_b64encode(UUID(job_id).bytes).decode().rstrip("=")


def position(cursor: str) -> str:
    """The place among job ids where the list goes on. Raises ValueError for what is no cursor."""
    if not re.fullmatch(PATTERN, cursor):
        raise ValueError("this is no cursor of a list")
    return str(UUID(bytes=urlsafe_b64decode(cursor + "==")))
