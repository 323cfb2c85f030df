"""The data both sides exchange: queue message, status record, artifact, manifest.

Times are Unix seconds (UTC). Anything read from outside the process goes through one of these. New fields have
a default, and unknown ones are ignored: so versions of the program understand each other while some are
upgraded before others. Only a change that this cannot carry makes a new SCHEMA_VERSION (documents.py).
"""

import time
from enum import StrEnum
from typing import Annotated, Any, Literal, Self
from uuid import uuid4

from pydantic import AfterValidator, BaseModel, Field, ValidationError

from services.common.documents import Document, Frozen
from services.common.errors import InvalidMessage
from services.common.ids import is_job_id


class State(StrEnum):
    """`queued -> running -> succeeded | failed | canceled | expired`; a released job is queued again."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        return self not in (State.QUEUED, State.RUNNING)


class InputRef(Frozen):
    """A stored file that a job is made from: it was taken in, checked and stored before the job was.

    A picture has `width` and `height` in pixels, a recording `seconds`.
    """

    key: str
    media_type: str
    sha256: str
    bytes: int
    width: int | None = None
    height: int | None = None
    seconds: float | None = None


class Artifact(Frozen):
    """One stored file of a job: an image of `width` and `height` in pixels, sound of a duration, text of a length.

    `source_type` is the IPTC DigitalSourceType of its content, such as trainedAlgorithmicMedia.
    """

    index: int
    key: str
    media_type: str
    bytes: int
    sha256: str
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    characters: int | None = None
    source_type: str | None = None
    seed: int | None = None


class JobError(Frozen):
    """A failure as the client sees it: a stable code, a sentence, and whether trying again may help."""

    code: str
    message: str
    retryable: bool = False


class JobWarning(Frozen):
    """A part of the request that was not done although the job ran: a code of `job_warnings`, and a sentence."""

    code: str
    message: str


class Progress(Frozen):
    """`step` of `total` pipeline steps over all images of the job; 0 of 0 before the first. `previews` so far."""

    phase: Literal["loading", "generating", "saving"] = "generating"
    step: int = 0
    total: int = 0
    previews: int = 0


class Event(Frozen):
    """A moment of a job: `what` is published, begun, a phase of its progress, canceling, released or its last state."""

    what: str
    at: float
    attempt: int = 0


def _a_job_id(text: str) -> str:
    """Raise ValueError unless this is a job id: it becomes a part of keys in the object store."""
    if not is_job_id(text):
        raise ValueError("no job id")
    return text


class JobMessage(Document):
    """The body of a queue message. It has all that a worker needs, so a lost status record costs nothing.

    `inputs` has the stored file of each parameter that names one.
    """

    _backend = "broker"
    _name = "a message"
    message_id: str = Field(default_factory=lambda: uuid4().hex)
    job_id: Annotated[str, AfterValidator(_a_job_id)]
    model: str
    modality: str
    params: dict[str, Any]
    inputs: dict[str, InputRef] = Field(default_factory=dict)
    owner: str | None = None
    created_at: float
    expires_at: float

    @classmethod
    def decode(cls, body: bytes) -> Self:
        """Read the message. Raises NewerVersion, or InvalidMessage with the job id where the body has one."""
        try:
            return super().decode(body)
        except ValidationError as exc:
            fault = exc.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in fault["loc"])
            raise InvalidMessage(f"{where or 'message'}: {fault['msg']}", _job_id_in(body)) from exc

    def encode(self) -> bytes:
        return self.model_dump_json().encode()


class StatusRecord(Frozen):
    """Everything known of a job. `message` is whole, so that the job can be published again from it.

    `bulk` is true while a live job waits in the bulk lane, because its owner has enough jobs before it.
    """

    job_id: str
    state: State = State.QUEUED
    message: JobMessage
    bulk: bool = False
    published: bool = False
    idempotency_key: str | None = None
    body_hash: str | None = None
    created_at: float = Field(default_factory=time.time)
    started_at: float | None = None
    finished_at: float | None = None
    attempt: int = 0
    cancel_requested: bool = False
    progress: Progress | None = None
    artifacts: tuple[Artifact, ...] = ()
    error: JobError | None = None
    warnings: tuple[JobWarning, ...] = ()
    lease_token: str | None = None
    lease_message_id: str | None = None
    lease_expires_at: float | None = None
    timeline: tuple[Event, ...] = ()

    def is_leased(self, now: float) -> bool:
        """Return whether a worker renewed its lease lately; `now` is by the clock of the backends."""
        return self.lease_expires_at is not None and self.lease_expires_at > now


class Manifest(Document):
    """`jobs/<id>/manifest.json`: the durable truth of a finished job, its owner and artifacts included."""

    _backend = "objects"
    _name = "a manifest"
    record: StatusRecord

    @property
    def job_id(self) -> str:
        return self.record.job_id


class Tombstone(Document):
    """`removed/<id>.json`: this job existed and its result was removed. Written once, never overwritten."""

    _backend = "objects"
    _name = "a tombstone"
    job_id: str
    owner: str | None = Field(None, exclude_if=lambda owner: owner is None)
    removed_at: float


class _OnlyJobId(BaseModel):
    job_id: Annotated[str, Field(max_length=36)]


def _job_id_in(body: bytes) -> str | None:
    try:
        job_id = _OnlyJobId.model_validate_json(body).job_id
    except ValidationError:
        return None
    return job_id if is_job_id(job_id) else None
