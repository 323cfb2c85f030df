"""A lease's end is kept by the store's own clock, and shown by the clock of the process that reads it."""

from services.common.schemas import StatusRecord


def lease_moved(record: StatusRecord, seconds: float) -> StatusRecord:
    """Return the record with the end of its lease moved by so many seconds, to the next whole one.

    To whole seconds, so that clocks that agree change nothing, and equal records stay equal.
    """
    if record.lease_expires_at is None or not (whole := round(seconds)):
        return record
    return record.model_copy(update={"lease_expires_at": record.lease_expires_at + whole})
