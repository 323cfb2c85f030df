"""The one table from errors to responses: every refusal is an RFC 9457 problem whose `type` resolves to its meaning."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

import structlog
from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import shares_limits
from services.api.auth.refusal import RequestRefused
from services.api.core.formats.file_format import FormatUnavailable
from services.api.core.inputs.intake_warnings import INTAKE_WARNING_TITLES
from services.api.http.base_path import base_path
from services.common import errors, input_errors
from services.common.job_warnings import WARNING_TITLES

log = structlog.get_logger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_BACKENDS: Final = {"broker": "queue", "statuses": "status store", "objects": "object store"}


@dataclass(frozen=True)
class Kind:
    """`status` 0 marks a code that only a job's `error` or `warnings` carry; `retry_after` in seconds."""

    status: int
    title: str
    retry_after: int | None = None


KINDS: Final[Mapping[str, Kind]] = {
    "bad-request": Kind(400, "The request is not valid HTTP for this resource"),
    "malformed-json": Kind(400, "The body is not valid JSON"),
    "invalid-idempotency-key": Kind(400, "The Idempotency-Key is not 1 to 255 printable ASCII characters"),
    "unauthenticated": Kind(401, "This takes a key"),
    "forbidden": Kind(403, "This takes another key"),
    "other-origin": Kind(403, "The request may come from another site"),
    "invalid-link": Kind(403, "The link has ended, or was not made for this artifact"),
    "not-found": Kind(404, "There is nothing here"),
    "model_not_found": Kind(404, "No such model"),  # as OpenAI spells it: its clients know no other code for this
    "job-not-found": Kind(404, "No such job"),
    "artifact-not-found": Kind(404, "The job has no such artifact"),
    "preview-not-found": Kind(404, "The job shows no preview now"),
    "job-not-finished": Kind(404, "The job has no artifacts yet"),
    "input-not-found": Kind(404, "No such input"),
    "object-not-found": Kind(404, "The artifact is not in the object store"),
    "dead-letter-not-found": Kind(404, "No such dead letter"),
    "format-unavailable": Kind(406, "A library that makes this format is not installed"),
    "method-not-allowed": Kind(405, "The method is not allowed here"),
    "body-timeout": Kind(408, "The body did not arrive in time"),
    "dead-letter-unreadable": Kind(409, "The dead letter's job is over, and it cannot be read to make a new one"),
    "job-finished": Kind(409, "The job has already ended"),
    "idempotency-in-flight": Kind(409, "The first request with this Idempotency-Key is still being answered", 1),
    "job-removed": Kind(410, "The job's result was removed"),
    "body-too-large": Kind(413, "The body is too large"),
    "input-too-large": Kind(413, "The file is larger than is taken, in bytes, pixels, seconds or work"),
    "too-many-parameters": Kind(414, "The query has too many parameters"),
    "unsupported-media-type": Kind(415, "The body must be JSON in UTF-8, or for an input a file"),
    "input-unsupported": Kind(415, "The file is of a kind that is not taken here"),
    "range-not-satisfiable": Kind(416, "The file has no such part"),
    "input-unreadable": Kind(422, "The file is empty, damaged or cut off"),
    "validation-error": Kind(422, "The request breaks the schema or the model's limits"),
    "idempotency-mismatch": Kind(422, "The Idempotency-Key was used with another body"),
    "too-many-requests": Kind(429, "That is more than you may submit in this time", 1),
    "too-many-jobs": Kind(429, "You have as many jobs as you may have at once", 10),
    "too-many-headers": Kind(431, "The request has too many headers"),
    "internal-error": Kind(500, "Something broke on our side"),
    "not-accepted": Kind(503, "The queue did not take the job", 5),
    "queue-full": Kind(503, "The queue is full", 10),
    "unroutable": Kind(503, "No queue serves this model", 10),
    "backend-unavailable": Kind(503, "A service this one depends on does not answer", 5),
    "status-rebuilding": Kind(503, "The status store was emptied and does not know this job yet", 5),
    "too-busy": Kind(503, "Too much of this is asked for at the same time", 2),
    "not-ready": Kind(503, "The gateway is not ready", 5),
    # How a job ends, not how a request does.
    "generation-failed": Kind(0, "The model failed on this job"),
    "input-missing": Kind(0, "A file that the job is made from is gone"),
    "model-unavailable": Kind(0, "The model cannot be loaded"),
    "out-of-memory": Kind(0, "The device has too little memory for these parameters"),
    "nothing-made": Kind(0, "The model makes nothing of this text or recording"),
    "filtered": Kind(0, "The model's safety checker withheld all that was made"),
    "timeout": Kind(0, "The job ran longer than allowed"),
    "device-failed": Kind(0, "The device failed on this job, twice"),
    "poison": Kind(0, "Every worker that tried this job went down"),
    "storage-unavailable": Kind(0, "The object store did not take the result, or give an input"),
    "storage-denied": Kind(0, "The object store does not let the result be kept"),
    "invalid-message": Kind(0, "The job's message was not understood"),
    "expired": Kind(0, "The job waited longer than it may"),
    "canceled": Kind(0, "The job was canceled before it was over"),
    # What the warnings of a job or an input tell.
    **{code: Kind(0, title) for code, title in {**WARNING_TITLES, **INTAKE_WARNING_TITLES}.items()},
}

# Looked up along the class hierarchy: a new subclass has its parent's answer until it gets its own.
_CODES: Final[Mapping[type[BaseException], str]] = {
    errors.InvalidRequest: "validation-error",
    errors.JobNotFound: "job-not-found",
    errors.StatusRebuilding: "status-rebuilding",
    errors.JobRemoved: "job-removed",
    errors.JobFinished: "job-finished",
    errors.IdempotencyMismatch: "idempotency-mismatch",
    errors.IdempotencyInFlight: "idempotency-in-flight",
    errors.DeadLetterNotFound: "dead-letter-not-found",
    errors.DeadLetterUnreadable: "dead-letter-unreadable",
    errors.ObjectNotFound: "object-not-found",
    FormatUnavailable: "format-unavailable",
    input_errors.InputNotFound: "input-not-found",
    input_errors.InputUnreadable: "input-unreadable",
    input_errors.InputUnsupported: "input-unsupported",
    input_errors.InputTooLarge: "input-too-large",
    errors.TooManyRequests: "too-many-requests",
    errors.TooManyJobs: "too-many-jobs",
    errors.TooBusy: "too-busy",
    errors.NotAccepted: "not-accepted",
    errors.QueueFull: "queue-full",
    errors.Unroutable: "unroutable",
    errors.BackendUnavailable: "backend-unavailable",
    errors.PublishUnconfirmed: "not-accepted",
}


def problem(
    request: Request[Any],
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: object,
) -> Response:
    """Return the response for a code of `KINDS`; `members` are extension members."""
    kind = KINDS[code]
    return _response(
        request, kind.status, f"{_base(request)}/problems/{code}", kind, detail, headers, {"code": code, **members}
    )


async def on_error(request: Request[Any], exc: Exception) -> Response:
    """Return the response for any StudioError or RequestRefused. Reasons for the operator go to the log instead."""
    if isinstance(exc, RequestRefused):
        return problem(request, exc.code, exc.detail, headers=exc.headers)
    code = next((_CODES[cls] for cls in type(exc).__mro__ if cls in _CODES), None)
    if code is None:
        log.error("unexpected error", exc_info=exc)
        return unexpected(request)
    if isinstance(exc, errors.InvalidRequest):
        members: dict[str, Any] = {"more_errors": exc.more} if exc.more else {}
        return problem(request, code, str(exc), errors=[_plain(error) for error in exc.errors], **members)
    if isinstance(exc, errors.BackendUnavailable):
        log.warning("dependency unavailable", dependency=exc.backend, reason=str(exc))
        detail = f"the {_BACKENDS.get(exc.backend, exc.backend)} cannot be reached in time; try again later"
        return problem(request, code, detail)
    if isinstance(exc, errors.LimitReached):
        return problem(request, code, f"{exc}{_shared(request)}", headers={"Retry-After": str(exc.retry_after)})
    return problem(request, code, str(exc))


def unexpected(request: Request[Any]) -> Response:
    """Return the response for a defect, which tells nothing of it."""
    request_id = structlog.contextvars.get_contextvars().get("request_id")
    detail = f"try again; if it happens again, tell the operator the request id {request_id}, which the log has as well"
    return problem(request, "internal-error", detail)


def plain_problem(request: Request[Any], status: int, title: str, detail: str, headers: Mapping[str, str]) -> Response:
    """Return the response for a status that has no code of its own."""
    return _response(request, status, "about:blank", Kind(status, title), detail, headers, {})


def _response(
    request: Request[Any],
    status: int,
    type_: str,
    kind: Kind,
    detail: str,
    headers: Mapping[str, str] | None,
    members: Mapping[str, object],
) -> Response:
    bound = structlog.contextvars.get_contextvars()
    body = {
        "type": type_,
        "title": kind.title,
        "status": status,
        "detail": detail,
        "instance": (_base(request) + quote(request.scope["path"]))[:300],
        "request_id": bound.get("request_id"),
        **({"trace_id": bound["trace_id"]} if "trace_id" in bound else {}),
        **members,
    }
    retry = {} if kind.retry_after is None else {"Retry-After": str(kind.retry_after)}
    # ASCII only: a detail may quote what the client sent, and a lone surrogate has no UTF-8.
    content = json.dumps(body).encode("ascii")
    return Response(content, status, {"Cache-Control": "no-store", **retry, **(headers or {})}, MEDIA_TYPE)


def _base(request: Request[Any]) -> str:
    return base_path(request.state["settings"].public_url)


def _shared(request: Request[Any]) -> str:
    if not shares_limits(request):
        return ""
    return "; all callers behind the same proxy share this limit, until STUDIO_TRUSTED_PROXIES names that proxy"


def _plain(error: Mapping[str, object]) -> dict[str, object]:
    """Leave out a `got` that is a list or an object: it may be as large as the body."""
    return {
        key: value for key, value in error.items() if key != "got" or isinstance(value, str | int | float | bool | None)
    }
