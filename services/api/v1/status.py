"""/v1/status: the state of the whole system, for programs; the page /status shows it to people."""

from starlette.requests import Request
from starlette.responses import Response

from services.api.http.endpoint import Answer, Endpoint
from services.api.http.state import AppState
from services.api.http.system_status import StatusView, system_status


def status_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/v1/status",
            show,
            "See how the system is",
            "Health",
            {200: Answer("The state as far as the backends answer.", StatusView)},
        )
    ]


async def show(request: Request[AppState]) -> Response:
    """Always 200: a backend that does not answer is named. Probes use `/readyz`."""
    view = await system_status(request)
    return Response(view.model_dump_json().encode(), 200, {"Cache-Control": "no-store"}, "application/json")
