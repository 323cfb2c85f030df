"""What the lifespan hands to every request."""

from typing import NotRequired, TypedDict

from services.api.auth.authentication import Door
from services.api.auth.caller import Caller
from services.api.core.gateway import Gateway
from services.api.core.queue_positions import Line
from services.api.core.renditions import Darkroom
from services.api.http.job_view_cache import JobAnswers
from services.api.http.rate_limit import Allowance, RateLimit
from services.common.backends import Backends
from services.common.settings import Settings


class AppState(TypedDict):
    """Typed as `Request[AppState]`; the catalogue is `gateway.catalogue`. `caller` is the guard's, see `caller_of`;
    `allowance` is there once a submit was counted.
    """

    gateway: Gateway
    line: Line
    answers: JobAnswers
    darkroom: Darkroom
    backends: Backends
    settings: Settings
    door: Door
    rate_limit: RateLimit | None
    caller: NotRequired[Caller]
    allowance: NotRequired[Allowance]
