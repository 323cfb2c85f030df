"""Job ids: UUIDv7 (RFC 9562), so they sort by time, and their 74 random bits cannot be guessed."""

from uuid import UUID

import uuid6


def new_job_id() -> str:
    return str(uuid6.uuid7())


def is_job_id(text: str) -> bool:
    """Only the canonical spelling counts, so that one job has one URL and one object key."""
    try:
        parsed = UUID(text)
    except ValueError:
        return False
    return parsed.version == 7 and str(parsed) == text


def created_at(job_id: str) -> float:
    """Unix seconds at which the id was made: the first 48 bits are milliseconds."""
    return (UUID(job_id).int >> 80) / 1000
