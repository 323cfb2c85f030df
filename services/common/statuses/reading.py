"""Records that cannot be read: those of another version of this service, or damaged by somebody's hand."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from services.common.errors import RecordUnreadable
from services.common.schemas import StatusRecord

Row = TypeVar("Row")

log = structlog.get_logger(__name__)


@contextmanager
def reading(job_id: str | None) -> Iterator[None]:
    """Around the parsing of one record: raises RecordUnreadable, for the store has the job and cannot tell of it."""
    try:
        yield
    except ValueError as exc:
        raise RecordUnreadable(job_id) from exc


def readable(read: Callable[[Row], StatusRecord], rows: Iterable[Row]) -> Iterator[StatusRecord]:
    """What `read` makes of the rows; one that it cannot read is logged and keeps nobody from the others."""
    for row in rows:
        try:
            yield read(row)
        except RecordUnreadable as exc:
            log.warning("record left out", reason=str(exc))
