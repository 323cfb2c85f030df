"""/livez: the loop turns. /readyz: every backend answers. Once a shutdown has begun nothing listens any more."""

import asyncio
from collections.abc import Awaitable
from typing import Final

import structlog
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.api.http.access import Access
from services.api.http.endpoint import Answer, Endpoint
from services.api.http.problem_views import DependenciesView
from services.api.http.problems import problem
from services.api.http.state import AppState
from services.api.v1.health_views import LiveView, ReadyView
from services.common.backends import Backends
from services.common.errors import BackendUnavailable

log = structlog.get_logger(__name__)

PING_SECONDS: Final = 2.0
_NO_STORE: Final = {"Cache-Control": "no-store"}
_ALL_READY: Final = DependenciesView(broker="ready", statuses="ready", objects="ready")


def health_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/livez",
            livez,
            "Whether the gateway lives",
            "Health",
            {200: Answer("It does.", LiveView, example=LiveView())},
            access=Access.OPEN,
        ),
        Endpoint(
            "GET",
            "/readyz",
            readyz,
            "Whether the gateway is ready",
            "Health",
            {200: Answer("Every backend answers.", ReadyView, example=ReadyView(dependencies=_ALL_READY))},
            ["not-ready"],
            access=Access.OPEN,
        ),
    ]


async def livez(_request: Request[AppState]) -> Response:
    """The process answers; of its backends it says nothing."""
    return JSONResponse(LiveView().model_dump(), headers=_NO_STORE)


async def readyz(request: Request[AppState]) -> Response:
    """200, or 503 with what is not ready by name; why is in the log, not in the answer."""
    states = await dependencies(request.state["backends"])
    missing = [name for name, state in states.items() if state != "ready"]
    if missing:
        detail = f"not ready: {', '.join(missing)}"
        return problem(request, "not-ready", detail, dependencies=states, not_ready=missing)
    return JSONResponse(ReadyView.model_validate({"dependencies": states}).model_dump(), headers=_NO_STORE)


async def dependencies(backends: Backends) -> dict[str, str]:
    """Of each backend by name whether it is ready or unavailable."""
    pings: dict[str, Awaitable[object]] = {
        "broker": backends.broker.ping(),
        "statuses": backends.statuses.list(limit=1),
        "objects": backends.objects.ping(),
    }
    answers = await asyncio.gather(*(_answers(name, ping) for name, ping in pings.items()))
    return dict(zip(pings, answers, strict=True))


async def _answers(name: str, ping: Awaitable[object]) -> str:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await ping
    except (BackendUnavailable, TimeoutError) as exc:
        log.warning("dependency not ready", dependency=name, reason=str(exc) or "no answer in time")
        return "unavailable"
    return "ready"
