"""/v1/queue: how busy it is, for a person who has not submitted yet and for whoever runs the machines."""

from collections import Counter

from starlette.requests import Request
from starlette.responses import Response

from services.api.core.model_queue import ModelQueue
from services.api.http.conditional import CONDITIONAL, conditional_json
from services.api.http.endpoint import Answer, Endpoint
from services.api.http.job_views import EtaView
from services.api.http.queue_views import ModelQueueView, QueueListView, WorkersView
from services.api.http.state import AppState


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
    """One entry a model. `eta_seconds` is for a job with the model's defaults submitted now."""
    queues = await request.state["line"].queues()
    view = QueueListView(data=tuple(queue_view(queue) for queue in queues.values()))
    return conditional_json(request, view.model_dump_json().encode(), {"Cache-Control": "public, no-cache"})


def queue_view(queue: ModelQueue) -> ModelQueueView:
    """What is shown of one model's queue."""
    eta, oldest = queue.eta(queue.model.defaults), queue.oldest_seconds
    phases: Counter[str] = Counter(worker.phase for worker in queue.workers)
    return ModelQueueView(
        model=queue.model.name,
        depth=queue.queued,
        running=queue.running,
        oldest_age_seconds=None if oldest is None else round(oldest, 1),
        workers=WorkersView(**{phase: phases[phase] for phase in WorkersView.model_fields}),
        eta_seconds=EtaView.of(eta) if eta else None,
    )
