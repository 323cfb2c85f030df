"""/v1/queue: how busy it is, for a person who has not submitted yet and for whoever runs the machines."""

import json
from collections import Counter
from dataclasses import asdict
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.api.conditional import conditional_json
from services.api.model_queue import ModelQueue
from services.api.state import AppState


def queue_routes() -> list[BaseRoute]:
    return [Route("/v1/queue", show, methods=["GET"])]


async def show(request: Request[AppState]) -> Response:
    """One entry a model. `eta_seconds` is for a job with the model's defaults submitted now."""
    queues = await request.state["line"].queues()
    content = json.dumps({"object": "list", "data": [_entry(queue) for queue in queues.values()]}).encode()
    return conditional_json(request, content, {"Cache-Control": "public, no-cache"})


def _entry(queue: ModelQueue) -> dict[str, Any]:
    eta, oldest = queue.eta(queue.model.defaults), queue.oldest_seconds
    phases = Counter(worker.phase for worker in queue.workers)
    return {
        "model": queue.model.name,
        "depth": queue.queued,
        "running": queue.running,
        "oldest_age_seconds": None if oldest is None else round(oldest, 1),
        "workers": {phase: phases[phase] for phase in ("loading", "ready", "busy", "draining")},
        "eta_seconds": None if eta is None else asdict(eta),
    }
