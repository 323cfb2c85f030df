"""What the lifespan hands to every request."""

from typing import NotRequired, TypedDict

from services.api.auth.authentication import Authenticator
from services.api.auth.caller import Caller
from services.api.core.artifacts import Artifacts
from services.api.core.dead_letters import DeadLetters
from services.api.core.gateway import Gateway
from services.api.core.health import BackendHealth
from services.api.core.queue_positions import QueuePositions
from services.api.http.job_view_cache import JobViewCache
from services.api.http.rate_limit import Allowance, RateLimit
from services.common.settings import Settings


class AppState(TypedDict):
    """Typed as `Request[AppState]`; the catalogue is `gateway.catalogue`. `caller` is the guard's, see `caller_of`;
    `allowance` is there once a submit was counted.
    """

    gateway: Gateway
    positions: QueuePositions
    job_views: JobViewCache
    artifacts: Artifacts
    dead_letters: DeadLetters
    health: BackendHealth
    settings: Settings
    authenticator: Authenticator
    rate_limit: RateLimit | None
    caller: NotRequired[Caller]
    allowance: NotRequired[Allowance]
