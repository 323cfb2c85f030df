"""/v1/dead-letters: messages that no worker could process, for operators."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.requests import Request
from starlette.responses import Response

from services.api.core.dead_letters import fault_of, job_id_of
from services.api.http.authorization import Access
from services.api.http.endpoint import Answer, Endpoint
from services.api.http.job_views import JobView
from services.api.http.requests.query import PLAIN, read_query
from services.api.http.state import AppState
from services.api.http.submit_limits import SUBMIT_PROBLEMS
from services.api.http.view import View
from services.common.errors import JobRemoved
from services.common.ports import DeadLetter
from services.common.schemas import StatusRecord


class DeadLetterView(View):
    """`fault` says why the message is not understood; without one its job was poison or broke its model's limits.

    `died_at` is null where the broker does not report it.
    """

    message_id: str
    model: str
    died_at: AwareDatetime | None
    bytes: int
    job_id: str | None
    fault: str | None

    @classmethod
    def of(cls, letter: DeadLetter) -> Self:
        return cls(
            message_id=letter.message_id,
            model=letter.model,
            died_at=datetime.fromtimestamp(letter.died_at, UTC) if letter.died_at else None,
            bytes=len(letter.body),
            job_id=job_id_of(letter),
            fault=fault_of(letter),
        )


class DeadLetterListView(View):
    """The oldest first."""

    object: Literal["list"] = "list"
    data: tuple[DeadLetterView, ...]


class WholeDeadLetterView(View):
    """`body` as text, `job` as it is now; null where it is unknown or was removed."""

    letter: DeadLetterView
    body: str
    job: JobView | None

    @classmethod
    def of(cls, letter: DeadLetter, job: StatusRecord | None, public_url: str | None = None) -> Self:
        return cls(
            letter=DeadLetterView.of(letter),
            body=letter.body.decode("utf-8", "replace"),
            job=JobView.of(job, public_url) if job else None,
        )


class ReplayView(View):
    """`job` is the new job where the letter's own was over; null where the message is back on its queue, as it was."""

    message_id: str
    outcome: Literal["requeued", "resubmitted"]
    job: JobView | None


PROBLEMS = ("backend-unavailable",)
LETTER_PROBLEMS = (*PROBLEMS, "dead-letter-not-found")


class DeadLettersQuery(BaseModel):
    """The number of letters."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    limit: Annotated[int, Field(ge=1, le=1000, description="The most letters to list."), PLAIN] = 100


def dead_letter_endpoints() -> list[Endpoint]:
    return [
        Endpoint(
            "GET",
            "/v1/dead-letters",
            index,
            "List dead letters",
            "Dead letters",
            {200: Answer("The oldest ones.", DeadLetterListView)},
            [*PROBLEMS, "validation-error"],
            query=DeadLettersQuery,
            access=Access.OPERATOR,
        ),
        Endpoint(
            "GET",
            "/v1/dead-letters/{message_id}",
            read,
            "Look at a dead letter",
            "Dead letters",
            {200: Answer("The letter, its body and its job.", WholeDeadLetterView)},
            LETTER_PROBLEMS,
            access=Access.OPERATOR,
        ),
        Endpoint(
            "POST",
            "/v1/dead-letters/{message_id}/replay",
            replay,
            "Replay a dead letter",
            "Dead letters",
            {200: Answer("It is queued again.", ReplayView)},
            [*LETTER_PROBLEMS, *SUBMIT_PROBLEMS, "dead-letter-unreadable", "job-removed", "validation-error"],
            access=Access.OPERATOR,
        ),
        Endpoint(
            "DELETE",
            "/v1/dead-letters/{message_id}",
            drop,
            "Drop a dead letter",
            "Dead letters",
            {204: Answer("Gone for good.")},
            LETTER_PROBLEMS,
            access=Access.OPERATOR,
        ),
    ]


async def index(request: Request[AppState]) -> Response:
    """Messages that no worker understood, and those of jobs that crashed every worker. For operators."""
    letters = await request.state["dead_letters"].list(read_query(request, DeadLettersQuery).limit)
    # In a thread: to read a thousand letters takes long.
    return await asyncio.to_thread(_listed, letters)


async def read(request: Request[AppState]) -> Response:
    """The letter with its message, which holds the client's parameters. For operators."""
    letters = request.state["dead_letters"]
    letter = await letters.get(request.path_params["message_id"])
    try:
        job = await letters.job(letter)
    except JobRemoved:
        job = None
    return _json(WholeDeadLetterView.of(letter, job, request.state["settings"].public_url))


async def replay(request: Request[AppState]) -> Response:
    """Puts the message back on its queue; where its job is over, submits a new job with the same parameters and owner.
    For operators.
    """
    message_id = request.path_params["message_id"]
    job = await request.state["dead_letters"].replay(message_id)
    public_url = request.state["settings"].public_url
    return _json(
        ReplayView(
            message_id=message_id,
            outcome="requeued" if job is None else "resubmitted",
            job=JobView.of(job, public_url) if job else None,
        )
    )


async def drop(request: Request[AppState]) -> Response:
    """204: the message is gone for good; its job stays as it is. For operators."""
    await request.state["dead_letters"].drop(request.path_params["message_id"])
    return Response(status_code=204)


def _listed(letters: Sequence[DeadLetter]) -> Response:
    return _json(DeadLetterListView(data=tuple(DeadLetterView.of(letter) for letter in letters)))


def _json(view: View) -> Response:
    return Response(view.model_dump_json().encode(), 200, {"Cache-Control": "no-store"}, "application/json")
