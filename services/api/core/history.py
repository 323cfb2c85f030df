"""The jobs of one owner. A job that was never accepted is none of them, although it has a record."""

from typing import Final

from services.common.ports import StatusStore
from services.common.schemas import StatusRecord
from services.common.statuses.acceptance import is_accepted

PAGE: Final = 100  # read behind records that are not listed


async def accepted_jobs(statuses: StatusStore, owner: str, before: str, limit: int) -> list[StatusRecord]:
    """Return as many, the newest first, from those older than `before` unless that is empty."""
    found, size = list[StatusRecord](), limit
    while len(found) < limit:
        page = await statuses.list(before, size, owner=owner)
        found += filter(is_accepted, page)
        if len(page) < size:
            break
        before, size = page[-1].job_id, max(limit, PAGE)
    return found[:limit]
