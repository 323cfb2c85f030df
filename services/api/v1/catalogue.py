"""/v1/models and /v1/styles: the models and studio looks on offer."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from services.api.core.model_queue import ModelQueue
from services.api.http.conditional import CONDITIONAL, conditional_json
from services.api.http.endpoint import Answer, Endpoint
from services.api.http.model_schema import model_schema
from services.api.http.problems import problem
from services.api.http.state import AppState
from services.api.http.view import View
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import BackendUnavailable, ModelNotFound
from services.common.modalities.modality import Media


class ModelView(View):
    """`parameters` is the JSON Schema of a job's parameters, `defaults` are the values of those left out.

    `makes` is the kind of file that comes out, `inputs` that of each parameter that names a file. `limits` are the
    model's own, within those of its modality; sides in pixels. `typical_seconds` is for one job with the defaults that
    does not wait, null until one was made. `created` and `owned_by` are there for OpenAI's clients.
    """

    id: str
    object: Literal["model"] = "model"
    created: Literal[0] = 0
    owned_by: Literal["studio"] = "studio"
    title: str
    modality: str
    default: bool
    defaults: dict[str, bool | int | float | str]
    makes: Media
    inputs: dict[str, Media]
    limits: dict[str, int | float | tuple[str, ...]]
    licence: str
    notes: str
    typical_seconds: float | None
    ready_workers: int | None
    parameters: dict[str, Any] = Field(json_schema_extra={"description": "A JSON Schema, draft 2020-12."})


class ModelListView(View):
    """Every model on offer."""

    object: Literal["list"] = "list"
    data: tuple[ModelView, ...]


class StyleView(View):
    """A studio look: `template` holds `{product}` once, `swatch` is its colour, `example` the product in its photo."""

    id: str
    object: Literal["style"] = "style"
    title: str
    template: str
    negative_prompt: str
    swatch: str
    example: str


class StyleListView(View):
    """Every studio look on offer."""

    object: Literal["list"] = "list"
    data: tuple[StyleView, ...]


def catalogue_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/v1/models",
            models,
            "List the models",
            "Catalogue",
            {200: Answer("The models on offer.", ModelListView, ["ETag"]), **CONDITIONAL},
            headers=["If-None-Match"],
        ),
        Endpoint(
            "GET",
            "/v1/models/{model}",
            one_model,
            "Look at a model",
            "Catalogue",
            {200: Answer("The model.", ModelView, ["ETag"]), **CONDITIONAL},
            ["model_not_found"],
            headers=["If-None-Match"],
        ),
        Endpoint(
            "GET",
            "/v1/styles",
            styles,
            "List the studio looks",
            "Catalogue",
            {200: Answer("The looks on offer.", StyleListView, ["ETag"]), **CONDITIONAL},
            headers=["If-None-Match"],
        ),
    ]


async def models(request: Request[AppState]) -> Response:
    """The models with their limits and the JSON Schema of their parameters, from which a client can build its form."""
    catalogue, queues = request.state["catalogue"], await _queues(request)
    offered = catalogue.models.values()
    views = (_model(model, catalogue, queues.get(model.name)) for model in offered)
    return _answer(request, ModelListView(data=tuple(views)))


async def one_model(request: Request[AppState]) -> Response:
    """One model, by its name or by one of its aliases."""
    name, catalogue = request.path_params["model"], request.state["catalogue"]
    model = catalogue.known_as(name)
    if model is None:
        (fault,) = ModelNotFound(name, catalogue.models).errors
        return problem(request, "model_not_found", str(fault["detail"]), errors=[fault])
    queues = await _queues(request)
    return _answer(request, _model(model, catalogue, queues.get(model.name)))


async def styles(request: Request[AppState]) -> Response:
    """The studio looks. A job names the id as its `style`; the product goes into the template."""
    offered = request.state["catalogue"].styles.values()
    views = (StyleView(id=style.name, **style.model_dump(exclude={"name"})) for style in offered)
    return _answer(request, StyleListView(data=tuple(views)))


async def _queues(request: Request[AppState]) -> Mapping[str, ModelQueue]:
    try:
        return await request.state["positions"].queues()
    except BackendUnavailable:
        return {}  # the offer does not depend on it


def _model(model: Model, catalogue: Catalogue, queue: ModelQueue | None) -> ModelView:
    seconds = queue.typical_seconds() if queue else None
    contract = model.contract
    return ModelView(
        id=model.name,
        title=model.title,
        modality=model.modality,
        default=model.default,
        defaults=dict(model.defaults),
        makes=contract.makes,
        inputs={name: kind.media for name, kind in contract.inputs.items()},
        limits=model.limits.model_dump(),
        licence=model.licence,
        notes=model.notes,
        typical_seconds=None if seconds is None else float(f"{seconds:.2g}"),
        ready_workers=queue.taking_jobs if queue else None,
        parameters=model_schema(model, catalogue),
    )


def _answer(request: Request[AppState], view: BaseModel) -> Response:
    return conditional_json(request, view.model_dump_json().encode(), {"Cache-Control": "public, no-cache"})
