"""Errors in the shape that OpenAI's clients read: `{"error": {"message", "type", "param", "code"}}`."""

import json
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.http.problems import on_error
from services.common.schemas import State, StatusRecord

# OpenAI's clients repeat a failed request by themselves, which would make a second job.
DO_NOT_REPEAT: Final = {"x-should-retry": "false"}


async def openai_error(
    request: Request[Any], exc: Exception, names: Mapping[str, str], headers: Mapping[str, str]
) -> Response:
    """Return the problem for `exc` in OpenAI's shape; `names` maps the clients' name of a parameter to ours."""
    problem = await on_error(request, exc)
    said = json.loads(bytes(problem.body))
    theirs = {ours: name for name, ours in names.items()} | {"width": "size", "height": "size"}
    pointer = next((str(error["pointer"]) for error in said.get("errors", [])), "")
    field = pointer.strip("/").partition("/")[0]
    kept = {name: problem.headers[name] for name in ("Retry-After", "WWW-Authenticate") if name in problem.headers}
    param = theirs.get(field, field) or None
    return _response(problem.status_code, said["detail"], said["code"], param, {**kept, **headers})


def job_error(record: StatusRecord, headers: Mapping[str, str]) -> Response:
    """Return the answer for a job that is not over yet, or ended without a result."""
    if not record.state.terminal:
        message = f"the job is still {record.state} and goes on: poll GET /v1/jobs/{record.job_id}"
        return _response(504, message, "timeout", None, {**DO_NOT_REPEAT, **headers})
    if record.error is not None:
        repeat = {} if record.error.retryable else DO_NOT_REPEAT
        return _response(500, record.error.message, record.error.code, None, {**repeat, **headers})
    status = 504 if record.state is State.EXPIRED else 409
    return _response(status, f"the job is {record.state}", str(record.state), None, {**DO_NOT_REPEAT, **headers})


def _response(status: int, message: str, code: str, param: str | None, headers: Mapping[str, str]) -> Response:
    kind = "invalid_request_error" if status < 500 else "server_error"
    body = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    # ASCII, as in problems.py: a message may quote what the client sent.
    return Response(json.dumps(body).encode("ascii"), status, headers, "application/json")
