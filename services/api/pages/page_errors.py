"""The one table from errors to small pages for people; `problems.py` has the one for programs."""

from dataclasses import dataclass, replace
from functools import wraps
from typing import Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.api.http.state import AppState, Handler
from services.api.pages.page_templates import PageTemplates
from services.common import errors

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Notice:
    """`retry_after` in seconds, where trying again may help."""

    status: int
    title: str
    detail: str
    retry_after: int | None = None


NOT_OURS: Final = Notice(403, "That came from another site", "Forms are taken from this site's own pages only.")
UNREADABLE: Final = Notice(400, "That was not understood", "The form did not arrive whole. Go back and send it again.")
DELETED: Final = Notice(200, "Deleted", "The photo and its files are gone.")
BUSY: Final = Notice(
    503, "The studio is full", "Too many photos are waiting. Try again in about 10 seconds.", retry_after=10
)
AWAY: Final = Notice(
    503, "The studio is not answering", "A part of it cannot be reached. Try again in a few seconds.", 5
)

# Looked up along the class hierarchy, as in problems.py.
_NOTICES: Final[dict[type[Exception], Notice]] = {
    errors.JobNotFound: Notice(
        404, "No such photo", "The address may be mistyped, or the photo is too old to be kept."
    ),
    errors.StatusRebuilding: Notice(503, "Looking for your photo", "It is not lost. Try again in a moment.", 5),
    errors.JobRemoved: Notice(410, "This photo was deleted", "It is gone for good, and cannot be brought back."),
    errors.InvalidRequest: Notice(422, "That cannot be drawn any more", "The models on offer have changed since."),
    errors.NotAccepted: BUSY,
    errors.TooManyJobs: Notice(
        429, "You have enough waiting", "That is as many photos as you may have on the way at once.", 10
    ),
    errors.TooManyRequests: Notice(429, "Not so fast", "That is more than you may order in this time."),
    errors.BackendUnavailable: AWAY,
    errors.IdempotencyInFlight: Notice(503, "Still being sent", "Your order is on its way. Try again in a moment.", 1),
}


def notice(exc: Exception) -> Notice | None:
    """What to tell a person of this error; None for one nobody foresaw."""
    if isinstance(exc, errors.BackendUnavailable):
        log.warning("dependency unavailable", dependency=exc.backend, reason=str(exc))
    if isinstance(exc, HTTPException) and exc.status_code == UNREADABLE.status:
        return UNREADABLE
    found = next((_NOTICES[cls] for cls in type(exc).__mro__ if cls in _NOTICES), None)
    if found and isinstance(exc, errors.TooManyRequests):
        detail = f"{found.detail} Try again in {exc.retry_after} seconds."
        return replace(found, detail=detail, retry_after=exc.retry_after)
    return found


def retry_headers(told: Notice) -> dict[str, str]:
    return {} if told.retry_after is None else {"Retry-After": str(told.retry_after)}


def error_page(templates: PageTemplates, told: Notice) -> Response:
    return templates.page("error.html", told.status, retry_headers(told), notice=told)


def with_error_pages(templates: PageTemplates, handler: Handler) -> Handler:
    """The handler, with a page in place of every error of the table."""

    @wraps(handler)
    async def handle(request: Request[AppState]) -> Response:
        try:
            return await handler(request)
        except (errors.StudioError, HTTPException) as exc:
            told = notice(exc)
            if told is None:
                raise
            return error_page(templates, told)

    return handle
