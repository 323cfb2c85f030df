"""The way of every route that makes something for OpenAI's clients: a durable job, a wait, and the result.

A request makes the same job as `POST /v1/jobs`: the answers carry its id, and it can be polled, canceled and removed.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.refusal import RequestRefused
from services.api.core.waiting_clients import Sending
from services.api.http.endpoint import Answer
from services.api.http.requests.idempotency import idempotency_key
from services.api.http.state import AppState
from services.api.http.submit_limits import SUBMIT_PROBLEMS, count_submit
from services.api.openai.errors import DO_NOT_REPEAT, KINDS, job_error, openai_error
from services.api.openai.views import OpenAIError
from services.api.openai.waiting import accept, until_over
from services.common.errors import BackendUnavailable, StudioError, TooBusy
from services.common.schemas import State, StatusRecord

Headers = Mapping[str, str]
# The problems that reading the job and its files may answer.
STORED_PROBLEMS: Final = ("job-removed", "job-not-found", "object-not-found", "status-rebuilding", "too-busy")
JOB_PROBLEMS: Final = (*SUBMIT_PROBLEMS, *STORED_PROBLEMS, *KINDS)
JOB_ANSWERS: Final[Mapping[int, Answer]] = {
    409: Answer(
        "The job was canceled meanwhile, or its Idempotency-Key is in use.", OpenAIError, sometimes=["X-Job-Id"]
    ),
    500: Answer("The job failed.", OpenAIError, sometimes=["X-Job-Id", "x-should-retry"]),
    504: Answer("The job outlasts the wait, and goes on.", OpenAIError, ["X-Job-Id", "x-should-retry"]),
}


@dataclass(frozen=True)
class Wish:
    """A request that was understood. `job` is the body that `POST /v1/jobs` would take, `said` what the client sent.

    `answer` makes the answer of the finished job and the headers that it must have. `alike` stands for the job in
    comparisons with an earlier sending, where the job names a file that this one brought.
    """

    job: Mapping[str, Any]
    said: Mapping[str, Any]
    answer: Callable[[StatusRecord, Headers], Awaitable[Response]]
    alike: Mapping[str, Any] | None = None


async def answer_with_job(
    request: Request[AppState], names: Mapping[str, str], understand: Callable[[], Awaitable[Wish]]
) -> Response:
    """Answer with the result once the job is over, or 504 with its id when it takes longer than the wait.

    `names` maps the client's name of a parameter to ours. A client that hangs up cancels its job, unless it sent an
    Idempotency-Key or another client looks at the job. A request that OpenAI's client sends again, after a timeout or
    a lost connection, is answered from the same job.
    """
    headers = {"Cache-Control": "no-store"}
    clients = request.state["clients"]
    key: str | None = None
    sending: Sending | None = None
    try:
        quota = await count_submit(request)
        key = idempotency_key(request)
        wish = await understand()
        record, sending = await accept(request, wish.job, wish.said, key, quota, wish.alike)
        headers |= {"X-Job-Id": record.job_id}
        record = await until_over(request, record, sending)
        if record.state is State.SUCCEEDED:
            answer = await wish.answer(record, headers)
            if sending is not None:
                await clients.answered(sending)
            return answer
    except (StudioError, RequestRefused) as exc:
        # The job is there already. Another sending may be answered from it later, where it is known as one.
        passes = isinstance(exc, TooBusy | BackendUnavailable) and _is_known_again(key, sending)
        repeat = DO_NOT_REPEAT if "X-Job-Id" in headers and not passes else {}
        return await openai_error(request, exc, names, {**repeat, **headers})
    if record.state.terminal and sending is not None:
        await clients.forget(sending)  # a client that asks again wants another job, not the same failure
    return job_error(record, headers)


def _is_known_again(key: str | None, sending: Sending | None) -> bool:
    return key is not None or (sending is not None and sending.number is not None)
