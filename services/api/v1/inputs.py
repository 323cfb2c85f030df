"""/v1/inputs: the files that jobs are made from. They are sent in first, and named in a job by their id."""

from datetime import UTC, datetime
from functools import partial
from typing import Self

from pydantic import AwareDatetime
from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import caller_of
from services.api.core.inputs.decoding.order import STORED
from services.api.core.inputs.record import InputRecord
from services.api.http.conditional import CONDITIONAL, conditional_json, is_known
from services.api.http.endpoint import Answer, Endpoint, Upload
from services.api.http.job_views import WarningView
from services.api.http.requests.sent_file import TAKING_PROBLEMS, check_encoding
from services.api.http.state import AppState
from services.api.http.stored_file import FILE_HEADERS, stored_file
from services.api.http.submit_limits import SUBMIT_HEADERS, count_submit
from services.api.http.view import View

PATH = "/v1/inputs"
TAKEN = ("image/*", "audio/*", "application/octet-stream")
KEPT = tuple(STORED.values())
INPUT_PROBLEMS = ("input-not-found", "backend-unavailable")


class InputLinksView(View):
    """`file` is what we keep of the file that was sent."""

    self: str
    file: str


class InputView(View):
    """A file that is ready for a job. `width` and `height` in pixels for a picture, `seconds` for a sound.

    It is what we keep, and not what was sent: `warnings` tell where the two differ in more than their format. It is
    deleted after `expires_at`.
    """

    id: str
    media_type: str
    bytes: int
    sha256: str
    width: int | None
    height: int | None
    seconds: float | None
    warnings: tuple[WarningView, ...]
    created_at: AwareDatetime
    expires_at: AwareDatetime
    links: InputLinksView

    @classmethod
    def of(cls, request: Request[AppState], record: InputRecord) -> Self:
        """Links begin with the public URL, else they are relative, as those of jobs."""
        store = request.state["inputs"].store
        at = f"{(request.state['settings'].public_url or '').rstrip('/')}{PATH}/{record.id}"
        return cls(
            **record.model_dump(exclude={"schema_version", "owner", "key", "inline", "warnings"}),
            warnings=tuple(WarningView.of(warning) for warning in record.warnings),
            created_at=datetime.fromtimestamp(store.made_at(record.id), UTC),
            expires_at=datetime.fromtimestamp(store.expires_at(record.id), UTC),
            links=InputLinksView(self=at, file=f"{at}/file"),
        )


def input_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            PATH,
            take,
            "Send in a file",
            "Inputs",
            {201: Answer("The file is stored.", InputView, ["Location"], SUBMIT_HEADERS)},
            ["bad-request", "validation-error", *TAKING_PROBLEMS],
            upload=Upload("file", TAKEN),
        ),
        Endpoint(
            "GET",
            f"{PATH}/{{input_id}}",
            read,
            "Look at an input",
            "Inputs",
            {200: Answer("What we keep.", InputView, ["ETag"]), **CONDITIONAL},
            INPUT_PROBLEMS,
            headers=["If-None-Match"],
        ),
        Endpoint(
            "GET",
            f"{PATH}/{{input_id}}/file",
            fetch,
            "Fetch the file of an input",
            "Inputs",
            {
                200: Answer("The file.", headers=FILE_HEADERS, files=KEPT),
                206: Answer("The part of it.", headers=[*FILE_HEADERS, "Content-Range"], files=KEPT),
                **CONDITIONAL,
            },
            [*INPUT_PROBLEMS, "object-not-found", "range-not-satisfiable", "too-busy"],
            headers=["If-None-Match", "Range", "If-Range"],
        ),
        Endpoint(
            "DELETE",
            f"{PATH}/{{input_id}}",
            remove,
            "Remove an input",
            "Inputs",
            {204: Answer("Deleted for good.")},
            INPUT_PROBLEMS,
        ),
    ]


async def take(request: Request[AppState]) -> Response:
    """201: a picture or a sound is stored, for jobs that name its id. It counts as a submit.

    Send the file as the body, or in the field `file` of a form. Its type is told by its content, whatever its name or
    declared type. Pictures are JPEG, PNG, WebP, GIF, TIFF, AVIF or HEIC; the upright picture in sRGB is kept, and no
    other part of the file: no place, camera, name or profile. Sounds are WAV, MP3, M4A, Ogg, FLAC or WebM, and are
    kept as they came.
    """
    await count_submit(request)
    check_encoding(request)
    caller, content_type = caller_of(request), request.headers.get("Content-Type", "")
    inputs = request.state["inputs"]
    record = await inputs.take(request.stream(), content_type, owner=caller.owner, party=caller.party)
    view = InputView.of(request, record)
    headers = {"Location": view.links.self, "Cache-Control": "no-store"}
    return Response(view.model_dump_json().encode(), 201, headers, "application/json")


async def read(request: Request[AppState]) -> Response:
    """The description of what we keep, and its end. Another owner's input is answered like one that does not exist."""
    view = InputView.of(request, await _own(request))
    return conditional_json(request, view.model_dump_json().encode(), {"Cache-Control": "private, no-cache"})


async def fetch(request: Request[AppState]) -> Response:
    """The bytes as we keep them, immutable under their hash as ETag; with `Range` a part, as players ask for it."""
    record = await _own(request)
    filename = f"{record.id}.{record.key.rpartition('.')[2]}"
    headers = {
        "ETag": f'"{record.sha256}"',
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'inline; filename="{filename}"',
    }
    if is_known(request, headers["ETag"]):
        return Response(status_code=304, headers=headers)
    begin = partial(request.state["inputs"].open, record, caller_of(request).party)
    return await stored_file(request, headers, record.media_type, record.bytes, begin)


async def remove(request: Request[AppState]) -> Response:
    """204: the file and all that we knew of it are deleted."""
    await request.state["inputs"].remove(await _own(request))
    return Response(status_code=204)


async def _own(request: Request[AppState]) -> InputRecord:
    return await request.state["inputs"].read(request.path_params["input_id"], caller_of(request).sees)
