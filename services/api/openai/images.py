"""/v1/images/generations, as OpenAI's clients call it (https://platform.openai.com/docs/api-reference/images/create)."""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import PurePosixPath

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.api.auth.caller import caller_of
from services.api.core.formats.file_format import FileFormat, wanted_format
from services.api.http.artifact_views import artifact_path
from services.api.http.base_path import own_url
from services.api.http.endpoint import Answer, Body, Endpoint
from services.api.http.job_views import WarningView
from services.api.http.requests.json_body import BODY_PROBLEMS, read_json_object
from services.api.http.state import AppState
from services.api.http.submit_limits import SUBMIT_HEADERS
from services.api.openai.errors import KINDS
from services.api.openai.flow import JOB_ANSWERS, JOB_PROBLEMS, Headers, Wish, answer_with_job
from services.api.openai.images_request import NAMES, ImagesRequest, images_schemas
from services.api.openai.inline_images import inline_images
from services.api.openai.models import IMAGES
from services.api.openai.views import ImageByUrl, ImagesResponse
from services.common.job_warnings import ADDRESS_UNKNOWN
from services.common.network.addresses import host_of, is_loopback
from services.common.schemas import Artifact, StatusRecord


def image_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            "/v1/images/generations",
            generate,
            "Make pictures as OpenAI's clients do",
            "OpenAI",
            {200: Answer("The images.", ImagesResponse, ["X-Job-Id"], SUBMIT_HEADERS), **JOB_ANSWERS},
            [*JOB_PROBLEMS, *BODY_PROBLEMS],
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

    async def understand() -> Wish:
        body = await read_json_object(request)
        asked = ImagesRequest.of(body)
        model = IMAGES.asked_for(asked.model, request.state["gateway"].model(None), request.state["catalogue"])
        return Wish(asked.job(model), body, partial(_images, request, asked))

    return await answer_with_job(request, NAMES, understand)


async def _images(request: Request[AppState], asked: ImagesRequest, record: StatusRecord, headers: Headers) -> Response:
    warnings = [WarningView.of(warning) for warning in record.warnings]
    wanted = [
        (artifact, wanted_format(artifact, asked.output_format, quality=asked.encoder_quality))
        for artifact in record.artifacts
    ]
    first = record.artifacts[0]
    view = ImagesResponse(
        created=int(record.created_at),
        data=(),
        output_format=asked.output_format,
        size=f"{first.width}x{first.height}",
        warnings=tuple(warnings),
    )
    if asked.response_format != "url":
        return await _inline(request, view, wanted, headers)
    base = own_url(request)
    if told := _unknown_address(request, base):
        warnings.append(told)
    urls = [ImageByUrl(url=f"{base}{_signed_path(request, record.job_id, *each)}") for each in wanted]
    view = view.model_copy(update={"data": tuple(urls), "warnings": tuple(warnings)})
    return JSONResponse(view.model_dump(), headers=headers)


async def _inline(
    request: Request[AppState],
    view: ImagesResponse,
    wanted: Sequence[tuple[Artifact, FileFormat | None]],
    headers: Mapping[str, str],
) -> Response:
    """Read the files, which count as one of the party's downloads until the client has them."""
    artifacts, party = request.state["artifacts"], caller_of(request).party
    async with AsyncExitStack() as turn:
        await turn.enter_async_context(artifacts.sending(party))
        files = [await artifacts.read(artifact, form, party) for artifact, form in wanted]
        return inline_images(view, files, headers, turn.pop_all())


def _signed_path(request: Request[AppState], job_id: str, artifact: Artifact, wanted: FileFormat | None) -> str:
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
