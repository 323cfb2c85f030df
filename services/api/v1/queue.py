"""/v1/queue: the load of each model, for clients before they submit and for operators."""

from starlette.requests import Request
from starlette.responses import Response

from services.api.http.conditional import CONDITIONAL, conditional_json
from services.api.http.endpoint import Answer, Endpoint
from services.api.http.state import AppState
from services.api.http.system_status import QueueListView, queue_view


def queue_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/v1/queue",
            show,
            "See how busy it is",
            "Catalogue",
            {200: Answer("The queues.", QueueListView, ["ETag"]), **CONDITIONAL},
            ["backend-unavailable"],
            headers=["If-None-Match"],
        )
    ]


async def show(request: Request[AppState]) -> Response:
    """One entry a model. `eta_seconds` is for a job with the model's defaults, submitted now."""
    queues = await request.state["positions"].queues()
    view = QueueListView(data=tuple(queue_view(queue) for queue in queues.values()))
    return conditional_json(request, view.model_dump_json().encode(), {"Cache-Control": "public, no-cache"})
