"""/v1/provenance: where a file is from, as far as the file and this studio know."""

from typing import Final, Literal, Self

from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import Caller, caller_of
from services.api.core.provenance import Origin
from services.api.http.endpoint import Answer, Endpoint, Upload
from services.api.http.requests.sent_file import read_file
from services.api.http.state import AppState
from services.api.http.view import View
from services.common.errors import InvalidRequest
from services.common.provenance.shown_file import ShownFile

PATH: Final = "/v1/provenance"
_TAKEN: Final = ("image/*", "audio/*", "application/octet-stream")


class ProvenanceView(View):
    """What is known of a file. `detail` says it in a sentence.

    `source_type` is the mark in the file, IPTC's DigitalSourceType such as trainedAlgorithmicMedia; null without one.
    `from_this_studio` is true for the stored file of a job, and for a file that says to be made from one. `unchanged`
    is true for the stored file alone. `job_id`, `index` and `model` are told to the owner of the job, and to operators.
    `media_type` is told by the first bytes; null for a kind that is not made here.
    """

    object: Literal["provenance"] = "provenance"
    sha256: str
    bytes: int
    media_type: str | None
    source_type: str | None
    from_this_studio: bool
    unchanged: bool
    job_id: str | None
    index: int | None
    model: str | None
    detail: str

    @classmethod
    def of(cls, file: ShownFile, origin: Origin | None, *, told: bool) -> Self:
        """With `told` the answer names the job."""
        known = origin if told else None
        return cls(
            sha256=file.sha256,
            bytes=file.bytes,
            media_type=file.media_type,
            source_type=file.mark.source_type if file.mark else None,
            from_this_studio=origin is not None,
            unchanged=origin is not None and origin.unchanged,
            job_id=known.record.job_id if known else None,
            index=known.artifact.index if known else None,
            model=known.record.message.model if known else None,
            detail=_detail(file, origin, told=told),
        )


_EXAMPLE: Final = ProvenanceView(
    sha256="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    bytes=48213,
    media_type="image/jpeg",
    source_type="trainedAlgorithmicMedia",
    from_this_studio=True,
    unchanged=False,
    job_id="0199e3a1-7c54-7b1e-9d0c-2f6f0f3c5a11",
    index=0,
    model="studio-tiny",
    detail="The file says that it was made from artifact 0 of job 0199e3a1-7c54-7b1e-9d0c-2f6f0f3c5a11. It is not the "
    "stored file: it is another format or size of it, or was changed.",
)


def provenance_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "POST",
            PATH,
            tell,
            "Tell where a file is from",
            "Provenance",
            {200: Answer("All that is known of the file.", ProvenanceView, example=_EXAMPLE)},
            [
                "bad-request",
                "body-timeout",
                "body-too-large",
                "unsupported-media-type",
                "validation-error",
                "backend-unavailable",
            ],
            upload=Upload("file", _TAKEN),
        )
    ]


async def tell(request: Request[AppState]) -> Response:
    """The answer tells if this studio made the file, in which job, if it was changed since, and how it is marked.

    Send the file as the body, or in the field `file` of a form. It is neither decoded nor kept. A stored file is known
    by its digest. A file in another format or size says which stored file it was made from; any program can write that
    into a file, so the answer is no proof. The job of another owner is not told.
    """
    file = ShownFile()
    await read_file(request, request.state["settings"].max_input_bytes, file.feed)
    if not file.bytes:
        raise InvalidRequest([{"pointer": "", "detail": "the file is empty: send one with content"}])
    caller = caller_of(request)
    origin = await request.state["provenance"].origin(file.sha256, file.mark, lambda owner: _owns(caller, owner))
    told = origin is not None and _owns(caller, origin.record.message.owner)
    view = ProvenanceView.of(file, origin, told=told)
    return Response(view.model_dump_json(), headers={"Cache-Control": "no-store"}, media_type="application/json")


def _owns(caller: Caller, owner: str | None) -> bool:
    """Return True for the caller's own jobs: without keys the id of another's is all it takes to delete it."""
    return caller.operator or owner == caller.owner


def _detail(file: ShownFile, origin: Origin | None, *, told: bool) -> str:
    if origin is None:
        mark = f"It is marked as {file.mark.source_type}." if file.mark else "It has no mark."
        return f"No job that this studio has made this file, or the file does not say so. {mark}"
    job = (
        f"artifact {origin.artifact.index} of job {origin.record.job_id}" if told else "a file of another caller's job"
    )
    if origin.unchanged:
        return f"These are the very bytes of {job}."
    return (
        f"The file says that it was made from {job}. It is not the stored file: it is another format or size of it, or "
        "was changed."
    )
