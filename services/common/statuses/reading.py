"""Records that cannot be read, because another version wrote them or they were damaged by hand."""

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
    """Raise RecordUnreadable for a ValueError in the block, which parses the record of this job."""
    try:
        yield
    except ValueError as exc:
        raise RecordUnreadable(job_id) from exc


def readable(read: Callable[[Row], StatusRecord], rows: Iterable[Row]) -> Iterator[StatusRecord]:
    """Yield what `read` returns for each row; a row that it cannot read is logged and left out."""
    for row in rows:
        try:
            yield read(row)
        except RecordUnreadable as exc:
            log.warning("record left out", reason=str(exc))
