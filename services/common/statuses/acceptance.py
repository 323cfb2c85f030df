"""Tells the jobs that a client was told of from those that are not accepted yet, or never were."""

from typing import Final

from services.common.schemas import State, StatusRecord

NOT_ACCEPTED: Final = "not-accepted"  # the code of a job that was given up before its client was told of it


def is_given_up(record: StatusRecord) -> bool:
    """Return whether the request that made the job was refused, since the queue did not confirm its message."""
    return record.error is not None and record.error.code == NOT_ACCEPTED


def is_accepted(record: StatusRecord) -> bool:
    """Return false for a job of which no client was told: not yet, or never, as its request was refused."""
    told = record.published or record.state not in (State.QUEUED, State.EXPIRED)
    return told and not is_given_up(record)
