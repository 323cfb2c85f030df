"""The one table from errors to small pages for people; `http/problems.py` has the table for programs."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any, Final

import structlog
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import shares_limits
from services.api.auth.refusal import RequestRefused
from services.api.http.base_path import prefix_fault
from services.api.http.problems import KINDS
from services.api.http.state import AppState, Handler
from services.api.pages.page_templates import PageTemplates
from services.common import errors

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Notice:
    """A message to a person. `retry_after` is in seconds, None where trying again does not help.

    `reference` is the request id, for a fault that only the log explains.
    """

    status: int
    title: str
    detail: str
    retry_after: int | None = None
    reference: str | None = None


UNREADABLE: Final = Notice(
    400, "The form could not be read", "It arrived incomplete, or with a file. Go back and send it again."
)
_MINUTES_FROM: Final = 120  # seconds
DELETED: Final = Notice(200, "Deleted", "The photo and its files are gone.")
NOT_FILLED_IN: Final = Notice(
    200, "Not filled in", "The photo to start from is gone or cannot be read just now, so the form is as new."
)
BUSY: Final = Notice(
    503, "The studio is full", "Too many photos are waiting. Try again in about 10 seconds.", retry_after=10
)
AWAY: Final = Notice(
    503, "The studio is not answering", "One of its services cannot be reached. Try again in a few seconds.", 5
)

# Looked up along the class hierarchy, as in problems.py.
_NOTICES: Final[dict[type[Exception], Notice]] = {
    errors.JobNotFound: Notice(404, "No such photo", "Check the address. Old photos are removed."),
    errors.StatusRebuilding: Notice(
        503, "Looking for your photo", "The studio is restoring its records. Try again in a few seconds.", 5
    ),
    errors.JobRemoved: Notice(410, "This photo was deleted", "It cannot be brought back."),
    errors.InvalidRequest: Notice(
        422, "This photo cannot be repeated", "The models or their limits have changed since. Start a new photo."
    ),
    errors.NotAccepted: BUSY,
    errors.TooManyJobs: Notice(
        429,
        "Too many photos at once",
        "You have as many on the way as you may. Wait until one is ready, then try again.",
        10,
    ),
    errors.TooManyRequests: Notice(429, "Too many photos in a short time", "You have reached your limit."),
    errors.BackendUnavailable: AWAY,
    errors.IdempotencyInFlight: Notice(
        503, "Still being sent", "This form was sent a moment ago. Try again in a second.", 1
    ),
}


def another_model(named: str, shown: str) -> Notice:
    """Return the message to a person who gets the form of another model than the one they named."""
    detail = f"“{named[:63]}” is not on offer here. This form is for {shown}: check it, then send it."
    return Notice(422, "Another model", detail)


def notice(request: Request[Any], exc: Exception) -> Notice | None:
    """Return the message about this error to a person; None for an unexpected one."""
    if isinstance(exc, RequestRefused):
        return refused(exc.code, exc.detail)
    if isinstance(exc, errors.BackendUnavailable):
        log.warning("dependency unavailable", dependency=exc.backend, reason=str(exc))
    if isinstance(exc, HTTPException) and exc.status_code == UNREADABLE.status:
        return UNREADABLE
    found = next((_NOTICES[cls] for cls in type(exc).__mro__ if cls in _NOTICES), None)
    if found is None or not isinstance(exc, errors.LimitReached):
        return found
    if isinstance(exc, errors.TooManyRequests):
        detail = f"{found.detail} Try again in {_span(exc.retry_after)}."
        found = replace(found, detail=detail, retry_after=exc.retry_after)
    if shares_limits(request):
        whose = "All visitors that come by the same proxy share this limit"
        found = replace(found, detail=f"{found.detail} {whose}, until its operator sets STUDIO_TRUSTED_PROXIES.")
    return found


def refused(code: str, detail: str) -> Notice:
    """Return the message about a refusal by its code in `problems.py`; `detail` is the sentence for programs."""
    return Notice(KINDS[code].status, KINDS[code].title, _sentence(detail))


def retry_headers(told: Notice) -> dict[str, str]:
    return {} if told.retry_after is None else {"Retry-After": str(told.retry_after)}


def error_page(templates: PageTemplates, told: Notice, headers: Mapping[str, str] | None = None) -> Response:
    return templates.page("error.html", told.status, {**retry_headers(told), **(headers or {})}, notice=told)


def problem_page(templates: PageTemplates, problem: Mapping[str, Any]) -> str:
    """Return a page for the members of a problem, as HTML."""
    status = int(problem["status"])
    told = Notice(status, str(problem["title"]), _sentence(str(problem["detail"])))
    reference = problem.get("request_id")
    if status >= 500 and reference and reference not in told.detail:
        told = replace(told, reference=reference)
    return templates.render("error.html", notice=told)


def with_error_pages(templates: PageTemplates, handler: Handler) -> Handler:
    """Wrap a handler so that every error of the table becomes a page, and so does a path that a proxy took off."""

    @wraps(handler)
    async def handle(request: Request[AppState]) -> Response:
        if fault := prefix_fault(request):
            return error_page(templates, Notice(421, "The address of the studio is not set", _sentence(fault)))
        try:
            return await handler(request)
        except (errors.StudioError, HTTPException, RequestRefused) as exc:
            told = notice(request, exc)
            if told is None:
                raise
            return error_page(templates, told, exc.headers if isinstance(exc, RequestRefused) else None)

    return handle


def _span(seconds: int) -> str:
    return f"{seconds} seconds" if seconds < _MINUTES_FROM else f"{math.ceil(seconds / 60)} minutes"


def _sentence(text: str) -> str:
    """Return the text with a capital letter and a full stop; a name such as STUDIO_PORT stays as it is."""
    return f"{text[:1].upper()}{text[1:]}" + ("" if text.endswith((".", "?", "!")) else ".")
