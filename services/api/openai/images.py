"""/v1/images/generations, as OpenAI's clients call it (https://platform.openai.com/docs/api-reference/images/create).

A request makes the same durable job as `POST /v1/jobs`: the answers carry its id, and it can be polled, canceled and
removed.
"""

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import PurePosixPath
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.api.auth.caller import caller_of
from services.api.auth.refusal import RequestRefused
from services.api.core.formats.file_format import FileFormat, wanted_format
from services.api.core.waiting_clients import Sending
from services.api.http.artifact_views import artifact_path
from services.api.http.base_path import own_url
from services.api.http.endpoint import Answer, Body, Endpoint
from services.api.http.job_views import WarningView
from services.api.http.requests.idempotency import idempotency_key
from services.api.http.requests.json_body import BODY_PROBLEMS, read_json_object
from services.api.http.state import AppState
from services.api.http.submit_limits import SUBMIT_HEADERS, SUBMIT_PROBLEMS, count_submit
from services.api.openai.errors import DO_NOT_REPEAT, KINDS, job_error, openai_error
from services.api.openai.images_request import NAMES, ImagesRequest, images_schemas, model_asked_for
from services.api.openai.inline_images import inline_images
from services.api.openai.views import ImageByUrl, ImagesResponse, OpenAIError
from services.api.openai.waiting import accept, until_over
from services.common.errors import BackendUnavailable, StudioError, TooBusy
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
    key: str | None = None
    sending: Sending | None = None
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
        # The job is there already. Another sending may be answered from it later, where it is known as one.
        passes = isinstance(exc, TooBusy | BackendUnavailable) and _is_known_again(key, sending)
        repeat = DO_NOT_REPEAT if "X-Job-Id" in headers and not passes else {}
        return await openai_error(request, exc, NAMES, {**repeat, **headers})
    if record.state.terminal and sending is not None:
        await clients.forget(sending)  # a client that asks again wants another job, not the same failure
    return job_error(record, headers)


def _is_known_again(key: str | None, sending: Sending | None) -> bool:
    return key is not None or (sending is not None and sending.number is not None)


async def _images(
    request: Request[AppState], asked: ImagesRequest, record: StatusRecord, headers: Mapping[str, str]
) -> Response:
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
