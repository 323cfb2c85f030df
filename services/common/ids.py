"""Job ids: UUIDv7 (RFC 9562), so they sort by time, and their 74 random bits cannot be guessed."""

import re
from typing import Final
from uuid import UUID

import uuid6

_CANONICAL: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


def new_job_id() -> str:
    return str(uuid6.uuid7())


def is_job_id(text: str) -> bool:
    """Return whether this is a job id in its canonical spelling: one job has one URL and one object key."""
    return _CANONICAL.fullmatch(text) is not None


def created_at(job_id: str) -> float:
    """Return when the id was made, in Unix seconds: its first 48 bits are milliseconds."""
    return (UUID(job_id).int >> 80) / 1000
