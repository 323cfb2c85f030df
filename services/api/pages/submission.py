"""Submits a browser's form and leads the browser to its job; a form sent twice leads to the same job."""

import asyncio
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.api.auth.caller import caller_of
from services.api.auth.refusal import RequestRefused
from services.api.http.state import AppState
from services.api.http.submit_limits import count_submit
from services.common.errors import IdempotencyInFlight
from services.common.ports import Quota
from services.common.schemas import StatusRecord

MAX_FIELDS: Final = 32
FORM_BYTES: Final = 128 * 1024  # besides files; the longest texts of our forms fill a fifth, written as escapes
_LONGEST_TYPE: Final = 1000  # characters of a Content-Type; browsers send about 80
TRIES: Final = 25
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
PAUSE_SECONDS: Final = 0.1


def new_token() -> str:
    """Return a token for one form: the same token with the same content makes one job."""
    return secrets.token_urlsafe(18)


def token_or_new(given: str) -> str:
    """Return the token that a form brought, or a new one where the form brought none that is well-formed."""
    return given if _TOKEN.fullmatch(given) else new_token()


def form_type(request: Request[AppState]) -> str:
    """Return the Content-Type. Raises HTTPException 400 for a long one, which would take long to read."""
    media_type = request.headers.get("Content-Type", "")
    if len(media_type) > _LONGEST_TYPE:
        raise HTTPException(400, "the Content-Type is too long")
    return media_type


async def read_form(request: Request[AppState]) -> dict[str, str]:
    """Return the text fields.

    Raises HTTPException 400 for a broken form, and for one with files or too many fields; RequestRefused for a large
    one, which would take long to read.
    """
    body = await request.body()
    if len(body) > FORM_BYTES:
        detail = f"the form is larger than {FORM_BYTES} bytes, the most allowed here: shorten its texts"
        raise RequestRefused("body-too-large", detail)
    if not form_type(request).startswith("multipart/") and body.count(b"&") > 2 * MAX_FIELDS:
        raise HTTPException(400, "the form has too many fields")  # the parser reads on past those that are empty
    async with request.form(max_files=0, max_fields=MAX_FIELDS) as form:
        return {name: value for name, value in form.items() if isinstance(value, str)}


def owner_of(request: Request[AppState], token: str) -> str:
    """Return the owner of what the form with this token makes: the caller, or a visitor who has no cookie yet."""
    return caller_of(request).owner or request.state["authenticator"].visitors.newcomer(token)


def remember(request: Request[AppState], response: Response, owner: str) -> Response:
    """Give the browser the cookie by which the visitor finds it again, while keys are off; return the response."""
    if caller_of(request).key is None:
        request.state["authenticator"].visitors.remember(response, owner)
    return response


async def submit_form(
    request: Request[AppState], body: Mapping[str, Any], key: str, token: str, quota: Quota | None = None
) -> Response:
    """Answer 303 to the job's page; while keys are off, with the cookie that lets the visitor find it again.

    `token` is the form's own, and `quota` that of a request which was counted before. Raises TooManyRequests, and the
    errors of `Gateway.accept`.
    """
    owner = owner_of(request, token)
    job = await _submitted(request, body, owner, key, quota or await count_submit(request))
    return remember(request, RedirectResponse(f"/jobs/{job.job_id}", 303), owner)


async def _submitted(
    request: Request[AppState], body: Mapping[str, Any], owner: str, key: str, quota: Quota
) -> StatusRecord:
    caller = caller_of(request)

    def sees(other: str | None) -> bool:
        return other == owner or caller.sees(other)

    # After a double click the browser shows only the second answer, so that one waits for the first.
    for _ in range(TRIES):
        try:
            accepting = request.state["gateway"].accept(body, owner=owner, idempotency_key=key, quota=quota, sees=sees)
            return (await accepting)[0]
        except IdempotencyInFlight:
            await asyncio.sleep(PAUSE_SECONDS)
    raise IdempotencyInFlight
