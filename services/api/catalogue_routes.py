"""/v1/models and /v1/styles: what is on offer."""

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.api.conditional import conditional_json
from services.api.model_queue import ModelQueue
from services.api.state import AppState
from services.common.catalogue import Model
from services.common.errors import BackendUnavailable
from services.common.params import PARAMS


def catalogue_routes() -> list[BaseRoute]:
    return [
        Route("/v1/models", models, methods=["GET"]),
        Route("/v1/styles", styles, methods=["GET"]),
    ]


async def models(request: Request[AppState]) -> Response:
    """Each with its limits and the JSON Schema of its parameters, from which a client can build its form."""
    offered = request.state["gateway"].catalogue.models.values()
    try:
        queues = await request.state["line"].queues()
    except BackendUnavailable:
        queues = {}  # what is on offer does not depend on it
    return _list(request, [_model(model, queues.get(model.name)) for model in offered])


async def styles(request: Request[AppState]) -> Response:
    offered = request.state["gateway"].catalogue.styles.values()
    return _list(
        request, [{"id": style.name, "object": "style", **style.model_dump(exclude={"name"})} for style in offered]
    )


def _model(model: Model, queue: ModelQueue | None) -> dict[str, Any]:
    """`typical_seconds` is for one job with the defaults that does not wait, None until one has been made."""
    seconds = queue.seconds(model.defaults) if queue else None
    return {
        "id": model.name,
        "object": "model",
        "created": 0,  # OpenAI's clients expect these two
        "owned_by": "studio",
        "title": model.title,
        "modality": model.modality,
        "default": model.default,
        "defaults": dict(model.defaults),
        "limits": model.limits.model_dump(),
        "licence": model.licence,
        "notes": model.notes,
        "typical_seconds": None if seconds is None else float(f"{seconds:.2g}"),
        "ready_workers": queue.taking_jobs if queue else None,
        "parameters": PARAMS[model.modality].model_json_schema(),
    }


def _list(request: Request[AppState], data: list[dict[str, Any]]) -> Response:
    content = json.dumps({"object": "list", "data": data}).encode()
    return conditional_json(request, content, {"Cache-Control": "public, no-cache"})
