"""What a submit costs its caller: one of so many requests a while, and a place among so many jobs at once."""

from typing import Final

from starlette.requests import Request

from services.api.auth.caller import caller_of
from services.api.http.rate_limit import set_allowance
from services.api.http.state import AppState
from services.common.errors import TooManyRequests
from services.common.ports import Quota

# Of each party so many jobs wait ahead of everybody's bulk: enough for a person at the page, too few to be in the way.
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
    """Count the request; the quota is for `Gateway.accept`. Raises TooManyRequests."""
    caller, settings, rate_limit = caller_of(request), request.state["settings"], request.state["rate_limit"]
    if caller.trusted and settings.rate_limit is None:
        rate_limit = None
    if rate_limit and (allowance := await rate_limit.count(caller.party)):
        set_allowance(request, allowance)
        if allowance.spent:
            detail = f"{allowance.most} submits in {allowance.window_seconds} s are the most"
            raise TooManyRequests(detail, allowance.reset_seconds)
    return Quota(caller.party, settings.owner_limit or (None if caller.trusted else MOST), AHEAD)
