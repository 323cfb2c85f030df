"""What the lifespan hands to every request."""

from typing import TypedDict

from services.api.darkroom import Darkroom
from services.api.gateway import Gateway
from services.api.job_answers import JobAnswers
from services.api.line import Line
from services.api.visitor import Visitors
from services.common.backends import Backends
from services.common.settings import Settings


class AppState(TypedDict):
    """Typed as `Request[AppState]`; the catalogue is `gateway.catalogue`."""

    gateway: Gateway
    line: Line
    answers: JobAnswers
    darkroom: Darkroom
    backends: Backends
    settings: Settings
    visitors: Visitors
