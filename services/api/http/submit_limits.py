"""The limits of a submit: the caller's requests in a window of time, and the caller's jobs at once."""

from typing import Final

from starlette.requests import Request

from services.api.auth.caller import caller_of
from services.api.http.rate_limit import set_allowance
from services.api.http.state import AppState
from services.common.errors import TooManyRequests
from services.common.ports import Quota

# A caller's first live jobs go to the fast lane, the rest to the bulk lane: enough for a person at the page.
AHEAD: Final = 4
MOST: Final = 200  # jobs at once, unless the setting says otherwise

SUBMIT_PROBLEMS = (
    "too-many-requests",
    "too-many-jobs",
    "invalid-idempotency-key",
    "idempotency-in-flight",
    "idempotency-mismatch",
    "not-accepted",
    "queue-full",
    "unroutable",
    "backend-unavailable",
)
SUBMIT_HEADERS = ("RateLimit-Policy", "RateLimit")


async def count_submit(request: Request[AppState]) -> Quota:
    """Count the request and return the quota for `Gateway.accept`. Raises TooManyRequests."""
    caller, settings, rate_limit = caller_of(request), request.state["settings"], request.state["rate_limit"]
    if caller.trusted and settings.rate_limit is None:
        rate_limit = None
    if rate_limit and (allowance := await rate_limit.count(caller.party)):
        set_allowance(request, allowance)
        if allowance.spent:
            detail = (
                f"this is submit {allowance.used} in {allowance.window_seconds} s, and {allowance.most} are allowed: "
                f"wait {allowance.reset_seconds} s"
            )
            raise TooManyRequests(detail, allowance.reset_seconds)
    return Quota(caller.party, settings.owner_limit or (None if caller.trusted else MOST), AHEAD)
