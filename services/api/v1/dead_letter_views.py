"""What operators see of dead letters."""

from datetime import UTC, datetime
from typing import Literal, Self

from pydantic import AwareDatetime

from services.api.core.dead_letters import fault_of, job_id_of
from services.api.http.job_views import JobView
from services.api.http.view import View
from services.common.ports import DeadLetter
from services.common.schemas import StatusRecord


class DeadLetterView(View):
    """`fault` says why the message is not understood; without one its job was poison or broke its model's limits.

    `died_at` is None where the broker does not say.
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
    """`body` as text, `job` as it is now; None where it is not known any more, or was removed."""

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
    """`job` is the new job where the letter's own was over; else the message is back on its queue, as it was."""

    message_id: str
    outcome: Literal["requeued", "resubmitted"]
    job: JobView | None
