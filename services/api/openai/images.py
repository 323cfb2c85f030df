"""/v1/images/generations, as OpenAI's clients call it (https://platform.openai.com/docs/api-reference/images/create).

A request makes the same durable job as `POST /v1/jobs`: the answers carry its id, and it can be polled, canceled and
removed. A field that this service cannot honour is refused, never ignored.
"""

import base64
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.api.auth.caller import caller_of
from services.api.auth.refusal import RequestRefused
from services.api.core.renditions import FORMATS, wanted_format
from services.api.http.endpoint import Answer, Body, Endpoint, JsonSchema
from services.api.http.idempotency import idempotency_key
from services.api.http.job_views import JobView, WarningView
from services.api.http.json_body import BODY_PROBLEMS, read_json_object
from services.api.http.state import AppState
from services.api.http.submit_limits import SUBMIT_HEADERS, SUBMIT_PROBLEMS, count_submit
from services.api.openai.errors import DO_NOT_REPEAT, job_error, openai_error
from services.api.openai.views import ImageByUrl, ImageInline, ImagesResponse, OpenAIError
from services.common.addresses import http_url
from services.common.catalogue import Catalogue, faults_of
from services.common.errors import InvalidRequest, StudioError
from services.common.params import PARAMS, Guidance, ImageParams, OptionalText, Seed, Steps, Text
from services.common.schemas import State, StatusRecord

# The parameters' names of OpenAI's clients and of similar servers, and the names here.
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


# The problems that reading the job and its images may answer.
STORED_PROBLEMS: Final = ("job-removed", "job-not-found", "object-not-found", "status-rebuilding", "too-busy")


class ImagesRequest(BaseModel):
    """Values are checked again by the model's own limits; `style` names one of /v1/styles.

    `output_compression` is the quality of a JPEG or WebP, up to 100, the best; a PNG is lossless and takes only 100.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    prompt: Text
    model: str | None = None
    n: Annotated[int, Field(ge=1, le=4)] = 1
    size: Annotated[str, Field(pattern=r"^(auto|[0-9]{2,4}x[0-9]{2,4})$")] = "auto"
    response_format: Literal["url", "b64_json"] = "url"
    output_format: Literal["png", "jpeg", "webp"] = "png"
    output_compression: Annotated[int, Field(ge=0, le=100)] | None = None
    style: str | None = None
    seed: Seed | None = None
    negative_prompt: OptionalText | None = None
    num_inference_steps: Steps | None = None
    guidance_scale: Guidance | None = None
    reproducibility: Literal["strict"] | None = None

    @property
    def quality(self) -> int | None:
        """`output_compression`; None where it asks for nothing: left out, or 100 (OpenAI's default) for a PNG."""
        return self.output_compression if self.output_format != "png" or self.output_compression != 100 else None

    def job(self) -> dict[str, Any]:
        """The body that `POST /v1/jobs` would take."""
        given = {ours: getattr(self, theirs) for theirs, ours in _NAMES.items()} | {"model": self.model}
        if self.size != "auto":
            given["width"], given["height"] = (int(side) for side in self.size.split("x"))
        return {name: value for name, value in given.items() if value is not None}


def openai_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            "/v1/images/generations",
            generate,
            "Make pictures as OpenAI's clients do",
            "OpenAI",
            {
                200: Answer("The images.", ImagesResponse, ["X-Job-Id"], SUBMIT_HEADERS),
                409: Answer(
                    "The job was canceled meanwhile, or its Idempotency-Key is in use.",
                    OpenAIError,
                    sometimes=["X-Job-Id"],
                ),
                500: Answer("The job failed.", OpenAIError, sometimes=["X-Job-Id", "x-should-retry"]),
                504: Answer("The job outlasts the wait, and goes on.", OpenAIError, ["X-Job-Id", "x-should-retry"]),
            },
            [*SUBMIT_PROBLEMS, *BODY_PROBLEMS, *STORED_PROBLEMS],
            headers=["Idempotency-Key"],
            body=Body(_schemas, {"prompt": "matte black coffee grinder", "n": 2, "size": "128x128"}),
            fault=OpenAIError,
            refuse=_refuse,
        )
    ]


async def generate(request: Request[AppState]) -> Response:
    """Answer 200 with the images once the job is over, or 504 with its id when the job takes longer than the wait."""
    gateway, wait_seconds = request.state["gateway"], request.state["settings"].image_wait_seconds
    headers = {"Cache-Control": "no-store"}
    try:
        quota = await count_submit(request)
        key = idempotency_key(request)
        asked = _asked(await read_json_object(request))
        model = gateway.model(asked.model)
        if not issubclass(PARAMS[model.modality], ImageParams):
            raise InvalidRequest([{"pointer": "/model", "detail": f"{model.name} makes no images"}])
        owner = caller_of(request).owner
        record, _ = await gateway.accept(asked.job(), owner=owner, idempotency_key=key, quota=quota)
        headers |= {"X-Job-Id": record.job_id}
        record = await gateway.read(record.job_id, wait_seconds)
        if record.state is State.SUCCEEDED:
            images = await _images(request, asked, record)
            return JSONResponse(images.model_dump(), headers=headers)
    except (StudioError, RequestRefused) as exc:
        repeat = DO_NOT_REPEAT if "X-Job-Id" in headers else {}  # the job is there already
        return await openai_error(request, exc, _NAMES, {**repeat, **headers})
    return job_error(record, headers)


async def _refuse(request: Request[Any], exc: Exception) -> Response:
    return await openai_error(request, exc, _NAMES, {})


def _asked(body: dict[str, Any]) -> ImagesRequest:
    try:
        asked = ImagesRequest.model_validate(body)
    except ValidationError as exc:
        raise InvalidRequest(faults_of(exc, ImagesRequest)) from exc
    if asked.quality is not None and not FORMATS[asked.output_format].lossy:
        fault = {"pointer": "/output_compression", "detail": f"{asked.output_format} is lossless", "allowed": "100"}
        raise InvalidRequest([{**fault, "got": asked.quality}])
    return asked


async def _images(request: Request[AppState], asked: ImagesRequest, record: StatusRecord) -> ImagesResponse:
    host, port = request.scope["server"]  # the socket's own address: the Host header may say anything
    view = JobView.of(record, request.state["settings"].public_url or http_url(host, port))
    data: list[ImageByUrl | ImageInline] = []
    for artifact, shown in zip(record.artifacts, view.artifacts, strict=True):
        wanted = wanted_format(artifact, asked.output_format, quality=asked.quality)
        if asked.response_format == "url":
            data.append(ImageByUrl(url=f"{shown.url}?{wanted.query}" if wanted else shown.url))
        else:
            file = await request.state["artifacts"].read(artifact, wanted)
            data.append(ImageInline(b64_json=base64.b64encode(file).decode()))
    first = record.artifacts[0]
    size = f"{first.width}x{first.height}"
    created = int(record.created_at)
    warnings = tuple(WarningView.of(warning) for warning in record.warnings)
    return ImagesResponse(
        created=created, data=tuple(data), output_format=asked.output_format, size=size, warnings=warnings
    )


def _schemas(catalogue: Catalogue, _default: str) -> dict[str, JsonSchema]:
    schema = ImagesRequest.model_json_schema()
    makers = [name for name, model in catalogue.models.items() if issubclass(PARAMS[model.modality], ImageParams)]
    for field, offered in (("model", makers), ("style", list(catalogue.styles))):
        schema["properties"][field] = {"enum": [*offered, None], "default": None}
    return {ImagesRequest.__name__: schema}
