"""Records that cannot be read: those of another version of this service, or damaged by somebody's hand."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import structlog

from services.common.errors import BackendUnavailable
from services.common.schemas import StatusRecord

Row = TypeVar("Row")

log = structlog.get_logger(__name__)


class _Unreadable(BackendUnavailable):
    pass


@contextmanager
def reading(job_id: str | None) -> Iterator[None]:
    """Around the parsing of one record: raises BackendUnavailable, for the store has the job and cannot tell of it."""
    try:
        yield
    except ValueError as exc:
        raise _Unreadable("statuses", f"the record of job {job_id} cannot be read") from exc


def readable(read: Callable[[Row], StatusRecord], rows: Iterable[Row]) -> Iterator[StatusRecord]:
    """What `read` makes of the rows; one that it cannot read is logged and keeps nobody from the others."""
    for row in rows:
        try:
            yield read(row)
        except _Unreadable as exc:
            log.warning("record left out", reason=str(exc))
