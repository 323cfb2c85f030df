"""Three of the four ports to the outside; `cache.py` has the fourth. Each has an embedded and a distributed backend.

Every method has its own deadline inside the backend and raises BackendUnavailable when it passes.
"""

from asyncio import Event
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final, Protocol
from uuid import uuid4

from services.common.brokers.delivery import Delivery
from services.common.schemas import Artifact, JobError, JobMessage, JobWarning, Progress, State, StatusRecord
from services.common.statuses.lane import Lane

MAX_DEAD_LETTERS: Final = 10_000  # the length that the shipped policy gives the queue of dead letters


@dataclass(frozen=True)
class DeadLetter:
    """A message that no worker understood, or that used up its attempts. `died_at` in Unix seconds."""

    message_id: str
    model: str
    body: bytes
    died_at: float


class Broker(Protocol):
    async def publish(
        self, message: JobMessage, headers: Mapping[str, str] | None = None, *, bulk: bool = False
    ) -> None:
        """Return once the message is durably queued for `message.model`; `headers` travel beside it.

        A model has two lanes: messages in the `bulk` lane do not delay the others.
        Raises QueueFull or Unroutable when refused, PublishUnconfirmed when unknown: publish the same id again then.
        """

    def consume(self, model: str, prefetch: int, consuming: Event | None = None) -> AsyncGenerator[Delivery, None]:
        """Deliver until closed (`aclose`, or cancellation of the pulling task), over reconnections.

        `consuming` is set while deliveries can come, and cleared within 20 s. At most `prefetch` deliveries of a lane
        are unsettled at a time. Closing requeues those not yet handed out; the others can still be settled.
        """

    async def depth(self, model: str, *, bulk: bool | None = None) -> int:
        """Return the number of messages ready in both lanes, or in that one, without those that a consumer holds."""

    async def dead_letter_count(self) -> int:
        """Return the number of dead letters of all models."""

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        """Return the oldest dead letters, and leave them in place."""

    async def replay(self, message_id: str) -> bool:
        """Move a dead letter back to its queue. Return False when there is none with this id."""

    async def drop(self, message_id: str) -> bool:
        """Forget a dead letter for good. Return False when there is none with this id."""

    async def ping(self, *, publishing: bool = False) -> None:
        """Raise BackendUnavailable unless the broker answers and, if asked so, would take a message now."""


@dataclass(frozen=True)
class Renewal:
    """The last sign of life of a lease's holder: it changes with every renewal."""

    token: str
    expires_at: float

    @classmethod
    def of(cls, record: StatusRecord) -> "Renewal | None":
        """Return that of the record's lease; None without one."""
        if record.lease_token is None or record.lease_expires_at is None:
            return None
        return cls(record.lease_token, record.lease_expires_at)


@dataclass(frozen=True)
class Lease:
    """A worker's right to finish a job. `silent` is a lease that it may take over: it was watched and not renewed."""

    job_id: str
    message_id: str = ""
    token: str = field(default_factory=lambda: uuid4().hex)
    silent: Renewal | None = None

    @classmethod
    def of_gateway(cls, job_id: str) -> "Lease":
        """Return the gateway's lease: it may finish a queued job, and give up one that is not yet published."""
        return cls(job_id, token="")  # no password: it stands for having no lease  # nosec B106


class Verdict(Enum):
    HELD = auto()  # the lease is yours
    CANCEL = auto()  # yours, and the client wants the job canceled
    EXHAUSTED = auto()  # yours, but every attempt is used up: finish it as failed/poison
    DUPLICATE = auto()  # another message of this job holds a fresh lease
    BUSY = auto()  # another attempt holds the lease: watch it, and name it as `silent` if it is not renewed
    LOST = auto()  # the job is terminal or another worker's: touch nothing
    MISSING = auto()  # no record of this job

    @property
    def gives_lease(self) -> bool:
        """True if the lease is yours."""
        return self in (Verdict.HELD, Verdict.CANCEL, Verdict.EXHAUSTED)


@dataclass(frozen=True)
class Outcome:
    """The end of a job; RELEASED hands the attempt back and queues it again."""

    state: State
    artifacts: tuple[Artifact, ...] = ()
    error: JobError | None = None
    warnings: tuple[JobWarning, ...] = ()
    release_key: bool = False  # given up: forget the Idempotency-Key, so that the client may try again with it


RELEASED = Outcome(State.QUEUED)


@dataclass(frozen=True)
class Limits:
    """The limits that a status store enforces: retention of terminal records, length of a lease, attempts of a job."""

    retention_seconds: float = 604_800
    lease_seconds: float = 15
    max_attempts: int = 3


@dataclass(frozen=True)
class Quota:
    """The number of live jobs that a `party` may have (None: any), and how many of them are not bulk."""

    party: str
    most: int | None
    ahead: int


class StatusStore(Protocol):
    """Every transition is one atomic compare-and-set; a terminal state never changes; expiry is the store's."""

    async def create(self, record: StatusRecord, quota: Quota | None = None) -> StatusRecord:
        """Store the record unless its id or its Idempotency-Key (per owner) is known; return what is stored.

        A known id only has its `published` flag raised when `record.published`: this is how it is confirmed, also
        each time that it is published again. With a quota it counts as one of its party's jobs until it is over, and
        is `bulk` when there are `ahead` already. Raises TooManyJobs, with nothing stored, when there are `most`.
        """

    async def get(self, job_id: str, wait: float = 0) -> StatusRecord:
        """With `wait`, return once the job is over or so many seconds have passed, whichever comes first.

        Raise StatusRebuilding when the store may have been emptied after this (young enough) id was made, else
        JobNotFound. Like `list`, it needs no write.
        """

    async def list(self, after: str = "", limit: int = 100, *, owner: str | None = None) -> list[StatusRecord]:
        """Return live records after `after`, oldest first; of an `owner` ("" for none) ended ones too, newest first."""

    async def lanes(self, most: int) -> Sequence[Lane]:
        """Return the lanes of all live jobs.

        Of each lane it reads all jobs that were passed, but not more than `most`, and the first hundred of the others.
        """

    async def begin(self, message: JobMessage, lease: Lease, *, recreate: bool = False) -> Verdict:
        """Take the job for one attempt: HELD, CANCEL or EXHAUSTED; or DUPLICATE, BUSY, LOST (terminal) or MISSING.

        A lease goes over only to a worker that names it, unchanged, as `lease.silent`. A job not begun by its
        `expires_at` becomes expired here (LOST). With `recreate` a missing record is made from the message, as running
        its first attempt. Beginning again with the same token changes nothing.
        """

    async def progress(self, lease: Lease, progress: Progress) -> Verdict:
        """Store progress and renew the lease: HELD, CANCEL, LOST or MISSING."""

    async def finish(self, lease: Lease, outcome: Outcome) -> Verdict:
        """End or release the job: HELD when this call did so, LOST or MISSING when it changed nothing."""

    async def request_cancel(self, job_id: str) -> StatusRecord:
        """Cancel a queued job at once, flag a running one, leave a terminal one; return the record. Raises as `get`."""

    async def remove(self, job_id: str) -> None:
        """Forget the record and its Idempotency-Key. Repeatable."""

    async def ping(self) -> None:
        """Raise BackendUnavailable unless records can be read and written now."""


class ObjectStore(Protocol):
    """Keys are relative paths of [a-z0-9._/-]; every write can be repeated. Refused ones raise StorageDenied.

    Others put things there as well (a file manager, a console, a backup). Their names are no keys and are passed over.
    """

    async def put(self, key: str, data: bytes, media_type: str) -> None: ...

    def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Yield data[start:end] in chunks. Raises ObjectNotFound before the first, also for a start behind the end."""

    async def url(self, key: str, *, media_type: str, filename: str, seconds: int) -> str | None:
        """Return a presigned GET URL for browsers, or None where the store cannot make one."""

    async def list(self, prefix: str) -> list[str]:
        """Return the keys with this prefix, sorted."""

    async def delete(self, keys: Sequence[str]) -> None:
        """Delete the keys. Repeatable: a missing key is no error. Others go although one cannot be deleted."""

    async def clear(self, folder: str) -> None:
        """Delete all that is below the folder, also what is not ours. Repeatable, as `delete`."""

    async def ping(self) -> None:
        """Raise BackendUnavailable unless objects can be read and written now."""
