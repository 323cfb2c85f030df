"""/livez answers while the event loop runs, /readyz while the backends can be used and the sweeper sweeps."""

from typing import Final, Literal

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.api.http.authorization import Access
from services.api.http.endpoint import Answer, Endpoint
from services.api.http.problem_views import DependenciesView
from services.api.http.problems import problem
from services.api.http.state import AppState
from services.api.http.view import View
from services.common.network.addresses import GATEWAY


class LiveView(View):
    """The process answers. By `service` a client knows that it is a gateway, before it sends a key."""

    service: Literal["studio-gateway"] = GATEWAY
    status: Literal["live"] = "live"


class ReadyView(View):
    """Every backend answers."""

    service: Literal["studio-gateway"] = GATEWAY
    status: Literal["ready"] = "ready"
    dependencies: DependenciesView


_NO_STORE: Final = {"Cache-Control": "no-store"}
_ALL_READY: Final = DependenciesView(broker="ready", statuses="ready", objects="ready")


def health_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/livez",
            livez,
            "Check that the gateway is alive",
            "Health",
            {200: Answer("It is alive.", LiveView, example=LiveView())},
            access=Access.OPEN,
        ),
        Endpoint(
            "GET",
            "/readyz",
            readyz,
            "Check that the gateway is ready",
            "Health",
            {200: Answer("Every backend answers.", ReadyView, example=ReadyView(dependencies=_ALL_READY))},
            ["not-ready"],
            access=Access.OPEN,
        ),
    ]


async def livez(_request: Request[AppState]) -> Response:
    """The process answers; the backends are not checked."""
    return JSONResponse(LiveView().model_dump(), headers=_NO_STORE)


async def readyz(request: Request[AppState]) -> Response:
    """200, or 503 with the names of what is not ready, a backend or the sweeper; the reasons are in the log only."""
    health = request.state["health"]
    states = await health.states()
    missing = [name for name, state in states.items() if state != "ready"]
    if not health.sweeping:
        missing.append("sweeper")
    if missing:
        detail = f"not ready: {', '.join(missing)}"
        return problem(request, "not-ready", detail, dependencies=states, not_ready=missing)
    return JSONResponse(ReadyView.model_validate({"dependencies": states}).model_dump(), headers=_NO_STORE)
