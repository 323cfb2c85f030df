"""The parts that live as long as the application, as its lifespan hands them to every request."""

from collections.abc import Awaitable, Callable
from typing import TypedDict

from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.authentication import Authenticator
from services.api.auth.signed_links import SignedLinks
from services.api.core.artifacts import Artifacts
from services.api.core.dead_letters import DeadLetters
from services.api.core.gateway import Gateway
from services.api.core.health import BackendHealth
from services.api.core.inputs.inputs import Inputs
from services.api.core.provenance import Provenance
from services.api.core.queue_positions import QueuePositions
from services.api.core.waiting_clients import WaitingClients
from services.api.http.rate_limit import RateLimit
from services.common.catalogue.catalogue import Catalogue
from services.common.settings import Settings


class CoreState(TypedDict):
    """The gateway's half of the protocol. Handlers call it, and never a backend."""

    gateway: Gateway
    positions: QueuePositions
    artifacts: Artifacts
    provenance: Provenance
    inputs: Inputs
    clients: WaitingClients
    dead_letters: DeadLetters
    health: BackendHealth


class AppState(CoreState):
    """Typed as `Request[AppState]`. A request's own values are read by `caller_of` and `allowance_of`."""

    settings: Settings
    catalogue: Catalogue
    authenticator: Authenticator
    links: SignedLinks
    rate_limit: RateLimit | None


Handler = Callable[[Request[AppState]], Awaitable[Response]]
