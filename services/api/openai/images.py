"""/v1/images/generations, as OpenAI's clients call it (https://platform.openai.com/docs/api-reference/images/create).

A request makes the same durable job as `POST /v1/jobs`: the answers carry its id, and it can be polled, canceled and
removed.
"""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.api.auth.caller import caller_of
from services.api.auth.refusal import RequestRefused
from services.api.core.renditions import ImageFormat, wanted_format
from services.api.http.base_path import own_url
from services.api.http.endpoint import Answer, Body, Endpoint
from services.api.http.job_views import WarningView, artifact_path
from services.api.http.requests.idempotency import idempotency_key
from services.api.http.requests.json_body import BODY_PROBLEMS, read_json_object
from services.api.http.state import AppState
from services.api.http.submit_limits import SUBMIT_HEADERS, SUBMIT_PROBLEMS, count_submit
from services.api.openai.errors import DO_NOT_REPEAT, KINDS, job_error, openai_error
from services.api.openai.images_request import NAMES, ImagesRequest, images_schemas, model_asked_for
from services.api.openai.inline_images import inline_images
from services.api.openai.views import ImageByUrl, ImagesResponse, OpenAIError
from services.api.openai.waiting import accept, until_over
from services.common.errors import StudioError
from services.common.job_warnings import ADDRESS_UNKNOWN
from services.common.network.addresses import host_of, is_loopback
from services.common.schemas import Artifact, State, StatusRecord

# The problems that reading the job and its images may answer.
STORED_PROBLEMS: Final = ("job-removed", "job-not-found", "object-not-found", "status-rebuilding", "too-busy")


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
            [*SUBMIT_PROBLEMS, *BODY_PROBLEMS, *STORED_PROBLEMS, *KINDS],
            headers=["Idempotency-Key"],
            body=Body(
                images_schemas,
                {"prompt": "matte black coffee grinder", "n": 2, "size": "128x128", "response_format": "url"},
            ),
            kinds=KINDS,
        )
    ]


async def generate(request: Request[AppState]) -> Response:
    """Answer 200 with the images once the job is over, or 504 with its id when the job takes longer than the wait.

    A client that hangs up cancels its job, unless it sent an Idempotency-Key or another client looks at the job. A
    request that OpenAI's client sends again, after a timeout or a lost connection, is answered from the same job.
    """
    headers = {"Cache-Control": "no-store"}
    gateway, clients = request.state["gateway"], request.state["clients"]
    try:
        quota = await count_submit(request)
        key = idempotency_key(request)
        body = await read_json_object(request)
        asked = ImagesRequest.of(body)
        model = model_asked_for(asked.model, gateway.model(None), request.state["catalogue"])
        record, sending = await accept(request, asked.job(model), body, key, quota)
        headers |= {"X-Job-Id": record.job_id}
        record = await until_over(request, record, sending)
        if record.state is State.SUCCEEDED:
            answer = await _images(request, asked, record, headers)
            if sending is not None:
                await clients.answered(sending)
            return answer
    except (StudioError, RequestRefused) as exc:
        repeat = DO_NOT_REPEAT if "X-Job-Id" in headers else {}  # the job is there already
        return await openai_error(request, exc, NAMES, {**repeat, **headers})
    if record.state.terminal and sending is not None:
        await clients.forget(sending)  # a client that asks again wants another job, not the same failure
    return job_error(record, headers)


async def _images(
    request: Request[AppState], asked: ImagesRequest, record: StatusRecord, headers: Mapping[str, str]
) -> Response:
    urls, files = list[ImageByUrl](), list[bytes]()
    warnings = [WarningView.of(warning) for warning in record.warnings]
    base = own_url(request)
    for artifact in record.artifacts:
        wanted = wanted_format(artifact, asked.output_format, quality=asked.encoder_quality)
        if asked.response_format == "url":
            urls.append(ImageByUrl(url=f"{base}{_signed_path(request, record.job_id, artifact, wanted)}"))
        else:
            files.append(await request.state["artifacts"].read(artifact, wanted, caller_of(request).party))
    if asked.response_format == "url" and (told := _unknown_address(request, base)):
        warnings.append(told)
    first = record.artifacts[0]
    view = ImagesResponse(
        created=int(record.created_at),
        data=tuple(urls),
        output_format=asked.output_format,
        size=f"{first.width}x{first.height}",
        warnings=tuple(warnings),
    )
    return inline_images(view, files, headers) if files else JSONResponse(view.model_dump(), headers=headers)


def _signed_path(request: Request[AppState], job_id: str, artifact: Artifact, wanted: ImageFormat | None) -> str:
    """Return what follows the base in a URL that works by itself, without a key, and ends in the file's extension."""
    extension = f".{wanted.extension}" if wanted else PurePosixPath(artifact.key).suffix
    signed = request.state["links"].query(job_id, artifact.index)
    query = f"{wanted.query}&{signed}" if wanted else signed
    return f"{artifact_path(job_id, artifact)}{extension}?{query}"


def _unknown_address(request: Request[AppState], base: str) -> WarningView | None:
    """Return a warning to a client that reached the gateway by another name than its URLs begin with."""
    asked, named = host_of(f"//{request.headers.get('host', '')}"), host_of(base)
    if request.state["settings"].public_url or asked == named or (is_loopback(asked) and is_loopback(named)):
        return None
    message = (
        f"the URLs begin with {base}, the address that the gateway listens on, and you came by another one: have its "
        "operator set STUDIO_PUBLIC_URL to that, or ask for response_format b64_json"
    )
    return WarningView(code=ADDRESS_UNKNOWN, message=message)
