"""/v1/images/generations, as OpenAI's clients call it (https://platform.openai.com/docs/api-reference/images/create).

The same durable job underneath as for `POST /v1/jobs`: its id is on every answer, and it can be polled, cancelled and
removed. Fields this service cannot honour are refused, never ignored.
"""

import base64
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from services.api.darkroom import wanted_format
from services.api.idempotency import idempotency_key
from services.api.json_body import read_json_object
from services.api.openai_errors import job_error, openai_error
from services.api.problems import RequestRefused
from services.api.representation import JobView
from services.api.state import AppState
from services.api.visitor import owner_of
from services.common.catalogue import faults_of
from services.common.errors import InvalidRequest, StudioError
from services.common.params import PARAMS, ImageParams
from services.common.schemas import State, StatusRecord

# What OpenAI's clients and other servers of the kind call a parameter, and what it is called here.
_NAMES: Final = {
    "prompt": "prompt",
    "n": "num_images",
    "style": "style",
    "seed": "seed",
    "negative_prompt": "negative_prompt",
    "num_inference_steps": "steps",
    "guidance_scale": "guidance",
    "reproducibility": "reproducibility",
}


class ImagesRequest(BaseModel):
    """Values are checked again by the model's own limits; `style` names one of /v1/styles."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    prompt: str
    model: str | None = None
    n: int = 1
    size: Annotated[str, Field(pattern=r"^(auto|[0-9]{2,4}x[0-9]{2,4})$")] = "auto"
    response_format: Literal["url", "b64_json"] = "url"
    output_format: Literal["png", "jpeg", "webp"] = "png"
    style: str | None = None
    seed: int | None = None
    negative_prompt: str | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    reproducibility: Literal["strict"] | None = None

    def job(self) -> dict[str, Any]:
        """The body that `POST /v1/jobs` would take."""
        given = {ours: getattr(self, theirs) for theirs, ours in _NAMES.items()} | {"model": self.model}
        if self.size != "auto":
            given["width"], given["height"] = (int(side) for side in self.size.split("x"))
        return {name: value for name, value in given.items() if value is not None}


def openai_routes() -> list[BaseRoute]:
    return [Route("/v1/images/generations", generate, methods=["POST"])]


async def generate(request: Request[AppState]) -> Response:
    """200 with the pictures once the job is over; 504 with its id when that takes longer than the client may wait."""
    gateway, wait_seconds = request.state["gateway"], request.state["settings"].image_wait_seconds
    headers = {"Cache-Control": "no-store"}
    try:
        key = idempotency_key(request)
        asked = _asked(await read_json_object(request))
        model = gateway.model(asked.model)
        if not issubclass(PARAMS[model.modality], ImageParams):
            raise InvalidRequest([{"pointer": "/model", "detail": f"{model.name} makes no images"}])
        record, _ = await gateway.accept(asked.job(), owner=owner_of(request), idempotency_key=key)
        headers["X-Job-Id"] = record.job_id
        record = await gateway.read(record.job_id, wait_seconds)
        if record.state is State.SUCCEEDED:
            return JSONResponse(await _pictures(request, asked, record), headers=headers)
    except (StudioError, RequestRefused) as exc:
        return await openai_error(request, exc, _NAMES, headers)
    return job_error(record, headers)


def _asked(body: dict[str, Any]) -> ImagesRequest:
    try:
        return ImagesRequest.model_validate(body)
    except ValidationError as exc:
        raise InvalidRequest(faults_of(exc, ImagesRequest)) from exc


async def _pictures(request: Request[AppState], asked: ImagesRequest, record: StatusRecord) -> dict[str, Any]:
    host, port = request.scope["server"]  # the socket's own address: the Host header may say anything
    view = JobView.of(record, request.state["settings"].public_url or f"http://{host}:{port}")
    data: list[dict[str, str]] = []
    for artifact, shown in zip(record.artifacts, view.artifacts, strict=True):
        wanted = wanted_format(artifact, asked.output_format)
        if asked.response_format == "url":
            data.append({"url": f"{shown.url}?format={wanted.name}" if wanted else shown.url})
        else:
            stored = request.state["backends"].objects.get(artifact.key)
            file = await request.state["darkroom"].develop(stored, wanted)
            data.append({"b64_json": base64.b64encode(file).decode()})
    first = record.artifacts[0]
    size = f"{first.width}x{first.height}"
    return {"created": int(record.created_at), "data": data, "output_format": asked.output_format, "size": size}
