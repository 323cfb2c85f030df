"""Errors of OpenAI's routes: `{"error": {"message", "type", "param", "code"}}` with the clients' own names.

Only what has to differ from our problems is here; `middleware/error_shapes.py` puts the rest into that shape.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.http.problems import KINDS as ALL_KINDS
from services.api.http.problems import Kind, on_error
from services.api.openai.shape import field_of
from services.common.errors import InvalidRequest, ModelNotFound
from services.common.schemas import State, StatusRecord

# OpenAI's clients repeat a failed request by themselves, which would make a second job.
DO_NOT_REPEAT: Final = {"x-should-retry": "false"}
# What is another problem here than in problems.py: the statuses that OpenAI's clients make exceptions of.
KINDS: Final[Mapping[str, Kind]] = {
    "validation-error": Kind(400, "The request breaks the schema or the model's limits"),
    "model_not_found": ALL_KINDS["model_not_found"],
    "filtered": Kind(400, "The model's safety checker withheld all that was made"),
    "nothing-made": Kind(400, "The model makes nothing of this text or recording"),
}


async def openai_error(
    request: Request[Any], exc: Exception, names: Mapping[str, str], headers: Mapping[str, str]
) -> Response:
    """Return the answer for `exc`; `names` maps the clients' name of a parameter to ours."""
    if isinstance(exc, InvalidRequest):
        return _invalid(exc, names, headers)
    problem = await on_error(request, exc)
    problem.headers.update(headers)
    return problem


def job_error(record: StatusRecord, headers: Mapping[str, str]) -> Response:
    """Return the answer for a job that is not over yet, or ended without a result."""
    job, error = f"job {record.job_id}", record.error
    if not record.state.terminal:
        message = f"{job} is still {record.state} and goes on: poll GET /v1/jobs/{record.job_id}"
        return _response(504, message, "timeout", None, {**DO_NOT_REPEAT, **headers})
    if record.state is State.EXPIRED:
        message = error.message if error else f"no worker began {job} in the time that it may wait: ask again later"
        return _response(504, message, "expired", None, {**DO_NOT_REPEAT, **headers})
    if error is not None:
        repeat = {} if error.retryable else DO_NOT_REPEAT
        status = KINDS[error.code].status if error.code in KINDS else 500
        return _response(status, error.message, error.code, None, {**repeat, **headers})
    message = f"{job} was canceled before it was over: ask again for another one"
    return _response(409, message, str(record.state), None, {**DO_NOT_REPEAT, **headers})


def _invalid(exc: InvalidRequest, names: Mapping[str, str], headers: Mapping[str, str]) -> Response:
    """Return the refusal; its message has all that a problem's `errors` say, for these clients show nothing else."""
    theirs = {ours: name for name, ours in names.items()}
    theirs |= {"width": "size", "height": "size", "format": "output_format"}
    code = "model_not_found" if isinstance(exc, ModelNotFound) else "validation-error"
    fields = [field_of(error) for error in exc.errors]
    params = [theirs.get(field, field) for field in fields]
    # A size that is no good is a fault of both its sides, told once.
    sentences = dict.fromkeys(_sentence(param, error) for param, error in zip(params, exc.errors, strict=True))
    message = ". ".join([*sentences, f"And {exc.more} more faults"] if exc.more else sentences)
    return _response(KINDS[code].status, message, code, params[0] or None, headers)


def _sentence(param: str, error: Mapping[str, object]) -> str:
    """Return what is wrong with the parameter, what was got and what is allowed."""
    said, got, allowed = str(error["detail"]), error.get("got"), error.get("allowed")
    parts = [f"{param or 'the body'}: {said}"]
    if isinstance(got, str | int | float):
        parts.append(f"got {json.dumps(got)[:200]}")
    named = ", ".join(str(each) for each in allowed) if isinstance(allowed, list) else allowed
    if isinstance(named, str) and named not in said:
        parts.append(f"allowed: {named}")
    return "; ".join(parts)


def _response(status: int, message: str, code: str, param: str | None, headers: Mapping[str, str]) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    # ASCII, as in problems.py: a message may quote what the client sent.
    return Response(json.dumps(body).encode("ascii"), status, headers, "application/json")
