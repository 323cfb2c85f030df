"""Errors in the shape that OpenAI's clients read: `{"error": {"message", "type", "param", "code"}}`."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.http.problems import Kind, on_error
from services.common.errors import InvalidRequest, ModelNotFound
from services.common.schemas import State, StatusRecord

# OpenAI's clients repeat a failed request by themselves, which would make a second job.
DO_NOT_REPEAT: Final = {"x-should-retry": "false"}
# What is another problem here than in problems.py: the statuses that OpenAI's clients make exceptions of.
KINDS: Final[Mapping[str, Kind]] = {
    "validation-error": Kind(400, "The request breaks the schema or the model's limits"),
    "model_not_found": Kind(404, "No such model"),
    "filtered": Kind(400, "The model's safety checker withheld all that was made"),
}


async def openai_error(
    request: Request[Any], exc: Exception, names: Mapping[str, str], headers: Mapping[str, str]
) -> Response:
    """Return the problem for `exc` in OpenAI's shape; `names` maps the clients' name of a parameter to ours."""
    if isinstance(exc, InvalidRequest):
        return _invalid(exc, names, headers)
    problem = await on_error(request, exc)
    said = json.loads(bytes(problem.body))
    kept = {name: problem.headers[name] for name in ("Retry-After", "WWW-Authenticate") if name in problem.headers}
    return _response(problem.status_code, said["detail"], said["code"], None, {**kept, **headers})


def job_error(record: StatusRecord, headers: Mapping[str, str]) -> Response:
    """Return the answer for a job that is not over yet, or ended without a result."""
    if not record.state.terminal:
        message = f"the job is still {record.state} and goes on: poll GET /v1/jobs/{record.job_id}"
        return _response(504, message, "timeout", None, {**DO_NOT_REPEAT, **headers})
    if record.error is not None:
        repeat = {} if record.error.retryable else DO_NOT_REPEAT
        status = KINDS[record.error.code].status if record.error.code in KINDS else 500
        return _response(status, record.error.message, record.error.code, None, {**repeat, **headers})
    status = 504 if record.state is State.EXPIRED else 409
    return _response(status, f"the job is {record.state}", str(record.state), None, {**DO_NOT_REPEAT, **headers})


def _invalid(exc: InvalidRequest, names: Mapping[str, str], headers: Mapping[str, str]) -> Response:
    """Return the refusal; its message has all that a problem's `errors` say, for these clients show nothing else."""
    theirs = {ours: name for name, ours in names.items()}
    theirs |= {"width": "size", "height": "size", "format": "output_format"}
    code = "model_not_found" if isinstance(exc, ModelNotFound) else "validation-error"
    fields = [str(error["pointer"]).strip("/").partition("/")[0] for error in exc.errors]
    params = [theirs.get(field, field) for field in fields]
    message = ". ".join(_sentence(param, error) for param, error in zip(params, exc.errors, strict=True))
    return _response(KINDS[code].status, message, code, params[0] or None, headers)


def _sentence(param: str, error: Mapping[str, object]) -> str:
    """Return what is wrong with the parameter, what was got and what is allowed."""
    said, got, allowed = str(error["detail"]), error.get("got"), error.get("allowed")
    parts = [f"{param}: {said}" if param else said]
    if isinstance(got, str | int | float):
        parts.append(f"got {json.dumps(got)[:200]}")
    if isinstance(allowed, str):
        parts.append(f"allowed: {allowed}")
    elif isinstance(allowed, list):
        parts.append(f"allowed: {', '.join(str(each) for each in allowed)}")
    return "; ".join(parts)


def _response(status: int, message: str, code: str, param: str | None, headers: Mapping[str, str]) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    # ASCII, as in problems.py: a message may quote what the client sent.
    return Response(json.dumps(body).encode("ascii"), status, headers, "application/json")
