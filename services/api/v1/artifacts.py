"""/v1/jobs/{id}/artifacts: the files of a finished job, streamed, or redirected to where they are stored."""

from contextlib import AsyncExitStack
from functools import partial
from pathlib import PurePosixPath
from typing import Final

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.api.auth.caller import caller_of
from services.api.auth.refusal import RequestRefused
from services.api.core.formats.file_format import FORMATS, FileFormat, wanted_format
from services.api.http.artifact_views import ArtifactListView
from services.api.http.authorization import Access
from services.api.http.byte_range import RANGES, wanted_range
from services.api.http.conditional import CONDITIONAL, conditional_json, is_known
from services.api.http.endpoint import Answer, Endpoint
from services.api.http.holding import HoldingResponse
from services.api.http.job_views import JobView, poll_headers
from services.api.http.other_sites import embedding_headers
from services.api.http.own_jobs import JOB_PROBLEMS, own_jobs
from services.api.http.requests.artifact_name import ArtifactName
from services.api.http.requests.query import read_query
from services.api.http.state import AppState
from services.api.http.stored_file import FILE_HEADERS, stored_file
from services.api.v1.artifact_query import ArtifactQuery
from services.common.job_warnings import OUTPUTS_FILTERED
from services.common.schemas import Artifact, StatusRecord

_MEDIA_TYPES: Final = [each.media_type for each in FORMATS.values()]
# A text may be shown in a frame of our own pages, and is no page itself, whatever an adapter put into it.
_TEXT_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'; sandbox"
_SHOWN: Final = ("image/", "audio/", "video/")


def artifact_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/v1/jobs/{job_id}/artifacts",
            index,
            "List a job's artifacts",
            "Artifacts",
            {200: Answer("The artifacts.", ArtifactListView, ["ETag"], ["Retry-After"]), **CONDITIONAL},
            JOB_PROBLEMS,
            headers=["If-None-Match"],
        ),
        Endpoint(
            "GET",
            "/v1/jobs/{job_id}/artifacts/{index}",
            read,
            "Fetch an artifact",
            "Artifacts",
            {
                200: Answer("The file.", headers=FILE_HEADERS, files=_MEDIA_TYPES),
                206: Answer("The part of it.", headers=[*FILE_HEADERS, "Content-Range"], files=_MEDIA_TYPES),
                307: Answer("Its URL in the object store, where the gateway is set to redirect.", headers=["Location"]),
                **CONDITIONAL,
            },
            [
                *JOB_PROBLEMS,
                "format-unavailable",
                "job-not-finished",
                "artifact-not-found",
                "object-not-found",
                "range-not-satisfiable",
                "validation-error",
                "too-busy",
            ],
            query=ArtifactQuery,
            access=Access.LINK,
            headers=["If-None-Match", "Range", "If-Range"],
        ),
    ]


async def index(request: Request[AppState]) -> Response:
    """The artifacts as in the job; none before it is over."""
    record = await own_jobs(request).read(request.path_params["job_id"])
    view = JobView.of(record, request.state["settings"].public_url)
    content = ArtifactListView(data=view.artifacts).model_dump_json().encode()
    headers = {"Cache-Control": "private, no-cache", **poll_headers(record, request.state["settings"])}
    return conditional_json(request, content, headers)


async def read(request: Request[AppState]) -> Response:
    """The bytes, immutable under their hash as ETag; with `?download=1` browsers save them.

    The number may have the extension of the file behind it, as in `0.png`. `?format=` returns an image, a sound or a
    transcript in another format, `?max_side=` a smaller image, `?quality=` a smaller file, `?metadata=0` one that does
    not say how it was made. Images and sounds are marked as generated all the same, and say of which stored file they
    were made. The ETag of these is weak: another version of the encoder may write other bytes for the same content.

    `Range` returns one part, as players of sound and downloads that are resumed ask for it; several ranges are answered
    with the whole file. A part of another format than the stored one is cut from a file that is made anew each time.

    The URLs that `POST /v1/images/generations` returns need no key: they carry an end, `expires`, and a `signature`.
    """
    query = read_query(request, ArtifactQuery)
    record = await own_jobs(request).read(request.path_params["job_id"])
    name = ArtifactName.parse(request.path_params["index"])
    artifact = _artifact(request, record, name)
    wanted = wanted_format(artifact, query.format, query.max_side, query.quality, metadata=query.metadata == "1")
    suffix = f".{wanted.extension}" if wanted else PurePosixPath(artifact.key).suffix
    _check_extension(name, suffix)
    filename, download = f"{record.job_id}-{artifact.index}{suffix}", query.download == "1"
    # A download is streamed by the gateway: the object store would have the browser show it.
    if wanted is None and request.state["settings"].artifact_delivery == "redirect" and not download:
        url = await request.state["artifacts"].url(artifact, filename)
        if url is not None:
            return RedirectResponse(url, 307, {"Cache-Control": "no-store", **embedding_headers(request)})
    headers = {**_headers(artifact, wanted, filename, download=download), **embedding_headers(request)}
    if is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    if wanted is not None:
        return await _rendition(request, artifact, wanted, headers)
    begin = partial(request.state["artifacts"].open, artifact, caller_of(request).party)
    return await stored_file(request, headers, artifact.media_type, artifact.bytes, begin)


def _headers(artifact: Artifact, wanted: FileFormat | None, filename: str, *, download: bool) -> dict[str, str]:
    """Return the headers that the file has, whole or in part."""
    headers = {
        "ETag": f'W/"{artifact.sha256}-{wanted.version}"' if wanted else f'"{artifact.sha256}"',
        "Cache-Control": "private, max-age=31536000, immutable",
        "Content-Disposition": f'{"attachment" if download else "inline"}; filename="{filename}"',
        **RANGES,
    }
    if not (wanted or artifact).media_type.startswith(_SHOWN):
        headers["Content-Security-Policy"] = _TEXT_POLICY
    return headers


def _artifact(request: Request[AppState], record: StatusRecord, name: ArtifactName | None) -> Artifact:
    if not record.state.terminal:
        detail = f"job {record.job_id} is {record.state} and has no artifacts yet: poll it until it is over"
        raise RequestRefused("job-not-finished", detail, poll_headers(record, request.state["settings"]))
    for artifact in record.artifacts:
        if name is not None and artifact.index == name.number:
            return artifact
    raise RequestRefused("artifact-not-found", _missing(record))


def _missing(record: StatusRecord) -> str:
    """Return which artifacts there are, and why others are not."""
    if not record.artifacts:
        reason = f": {record.error.message}" if record.error else ""
        return f"job {record.job_id} is {record.state} and has no artifacts{reason}"
    there = ", ".join(str(artifact.index) for artifact in record.artifacts)
    filtered = "".join(f"; {each.message}" for each in record.warnings if each.code == OUTPUTS_FILTERED)
    return f"job {record.job_id} has these artifacts, counted from 0: {there}{filtered}"


def _check_extension(name: ArtifactName | None, suffix: str) -> None:
    if name is not None and not name.fits(suffix.removeprefix(".")):
        given, right = f"{name.number}.{name.extension}"[:40], f"{name.number}{suffix}"
        raise RequestRefused("artifact-not-found", f"there is no {given} here: ask for {right} (?format= gives others)")


async def _rendition(
    request: Request[AppState], artifact: Artifact, wanted: FileFormat, headers: dict[str, str]
) -> Response:
    artifacts, party = request.state["artifacts"], caller_of(request).party
    async with AsyncExitStack() as turn:
        # First: a conversion that cannot be sent is for nothing.
        await turn.enter_async_context(artifacts.sending(party))
        data = await artifacts.read(artifact, wanted, party)
        part = wanted_range(request, headers["ETag"], len(data))
        if part is not None:
            sent = HoldingResponse(data[part.start : part.end], 206, {**headers, **part.headers}, wanted.media_type)
            return sent.holding(turn.pop_all())
        headers = {**headers, "Content-Length": str(len(data))}
        if request.method == "HEAD":
            return Response(headers=headers, media_type=wanted.media_type)
        return HoldingResponse(data, headers=headers, media_type=wanted.media_type).holding(turn.pop_all())
