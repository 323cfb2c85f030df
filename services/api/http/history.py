"""A caller's jobs, newest first, a page at a time."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request

from services.api.auth.caller import caller_of
from services.api.auth.keys import NAME, owner_named
from services.api.http.requests.query import PLAIN
from services.api.http.state import AppState
from services.common.schemas import StatusRecord

PATTERN: Final = r"^[A-Za-z0-9_-]{21}[AQgw]$"  # 128 bits in base64: the last letter holds two of them


def cursor_behind(job_id: str) -> str:
    """Return the cursor of the page that follows this job."""
    return urlsafe_b64encode(UUID(job_id).bytes).decode().rstrip("=")


def position(cursor: str) -> str:
    """Return the job id after which the list goes on. Raises ValueError for an invalid cursor."""
    if not re.fullmatch(PATTERN, cursor):
        raise ValueError("this is no cursor of a list")
    return str(UUID(bytes=urlsafe_b64decode(cursor + "==")))


PAGE: Final = 20


class HistoryQuery(BaseModel):
    """Which page of jobs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Annotated[int, Field(ge=1, le=100, description="The most jobs on the page."), PLAIN] = PAGE
    cursor: Annotated[str, Field(pattern=PATTERN, description="The `next_cursor` of the page before.")] | None = None
    owner: (
        Annotated[str, Field(pattern=f"^{NAME}$", description="The name of a key whose jobs an operator wants to see.")]
        | None
    ) = None


@dataclass(frozen=True)
class History:
    """A page of jobs; `next_cursor` leads to the page of older jobs, None on the last page."""

    jobs: tuple[StatusRecord, ...]
    next_cursor: str | None

    @classmethod
    async def of(
        cls, request: Request[AppState], cursor: str | None = None, limit: int = PAGE, name: str | None = None
    ) -> Self:
        """Return the caller's own jobs, or those of keys with this name; nothing where the caller may not see them.

        While keys are off: the visitor's jobs, and without a cookie those that programs made without one.
        Raises ValueError for an invalid cursor, BackendUnavailable.
        """
        before = "" if cursor is None else position(cursor)
        caller = caller_of(request)
        owner = caller.owner or "" if name is None else owner_named(name)
        if owner != (caller.owner or "") and not caller.operator:
            return cls((), None)
        jobs = await request.state["gateway"].history(owner, before, limit + 1)
        shown = tuple(jobs[:limit])
        return cls(shown, cursor_behind(shown[-1].job_id) if len(jobs) > limit else None)
