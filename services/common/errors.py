"""Everything that can go wrong, as facts of the domain. No HTTP here: `api/http/problems.py` has that table.

StudioError
├── InvalidRequest              the request breaks the model's schema or limits
│   └── ModelNotFound           it names a model that is not on offer
├── InvalidMessage              a queue message that cannot be understood
├── JobNotFound                 never existed (or was forgotten after its retention)
│   └── StatusRebuilding        not known now, and the status store was emptied after the job was made
├── JobRemoved                  existed, and its result was removed
├── JobFinished                 the job is terminal, so it cannot be canceled
├── IdempotencyMismatch         the key was used before with another body
├── IdempotencyInFlight         the first request with this key is still being answered
├── DeadLetterNotFound          no dead letter with this message id (any more)
├── DeadLetterUnreadable        its job is over, and no new one can be made of it
├── ObjectNotFound              no object under this key, or none that is as long
├── InputError                  a file that came in, see `input_errors`
├── LimitReached                the caller has used up what it may have for now
│   ├── TooManyRequests         of requests in a while
│   └── TooManyJobs             of jobs that wait or run
├── FormatUnavailable           a stored file in a format that is not installed, see `api/core/formats`
├── TooBusy                     too many files or renditions are wanted at the same time
├── NotAccepted                 the broker did not take the message
│   ├── QueueFull               it said so: the queue is at its limit
│   └── Unroutable              it said so: no queue for this model
├── BackendUnavailable          broker, store or cache cannot be reached in time
│   ├── PublishUnconfirmed      the broker did not answer: the message may or may not be queued
│   ├── NewerVersion            there, but a newer version of this program wrote it
│   ├── RecordUnreadable        there, but the record of this one job cannot be read
│   └── BackendRefused          it answers, and refuses for as long as an operator does not mend it
│       └── StorageDenied       the object store answered that we may not do this, so trying again will not help
└── GenerationError             a job that ends `failed`; `code` and `retryable` go to the client
    ├── ModelUnavailable        the model cannot be loaded; the message says what to do
    ├── OutOfMemory             the device has too little memory for these parameters
    ├── Filtered                the model's safety checker withheld every output
    ├── NothingMade             of this request the model makes nothing ever, see `inference/runtime/outputs`
    └── ThreadLost              the model thread can do no more; another process must take over
        ├── DeadlineExceeded    the job ran longer than allowed
        ├── DeviceFailed        the device reports an error that stays until the process ends
        └── HandedBack          perhaps not the job's fault: it is tried again, alone
"""

from collections.abc import Iterable
from typing import ClassVar

from services.common.suggestions import unknown


class StudioError(Exception): ...


class InvalidRequest(StudioError):
    """`errors` holds one entry a fault: JSON pointer, what was wrong, got and is allowed. `more` counts the others."""

    def __init__(self, errors: list[dict[str, object]], more: int = 0) -> None:
        told = [f"{error['pointer'] or 'the body'}: {error['detail']}" for error in errors]
        super().__init__("; ".join([*told, f"and {more} more"] if more else told))
        self.errors, self.more = errors, more


class ModelNotFound(InvalidRequest):
    def __init__(self, name: object, offered: Iterable[str]) -> None:
        got, names = name[:200] if isinstance(name, str) else name, sorted(offered)
        super().__init__([{"pointer": "/model", "detail": unknown("model", name, names), "got": got, "allowed": names}])


class InvalidMessage(StudioError):
    """`job_id` is set when the message was readable enough to contain one."""

    def __init__(self, reason: str, job_id: str | None = None) -> None:
        super().__init__(reason)
        self.job_id = job_id


class JobNotFound(StudioError):
    def __init__(self, job_id: str) -> None:
        super().__init__(f"there is no job {job_id[:100]}: check the id, and the key if the job was made with another")


class StatusRebuilding(JobNotFound): ...


class JobRemoved(StudioError):
    """`owner` is the job's owner; None when it had none or the owner is unknown."""

    def __init__(self, job_id: str, owner: str | None = None) -> None:
        super().__init__(f"job {job_id} was removed, and its result cannot be brought back")
        self.owner = owner


class JobFinished(StudioError):
    def __init__(self, job_id: str, state: str) -> None:
        super().__init__(f"job {job_id} has already ended as {state}, so it cannot be canceled any more")


class IdempotencyMismatch(StudioError):
    def __init__(self) -> None:
        super().__init__("this Idempotency-Key was used before with another body: send that body, or another key")


class IdempotencyInFlight(StudioError):
    def __init__(self) -> None:
        super().__init__("the first request with this Idempotency-Key is still being answered: repeat it in a second")


class DeadLetterNotFound(StudioError):
    def __init__(self, message_id: str) -> None:
        super().__init__(f"no dead letter {message_id[:100]}")


class DeadLetterUnreadable(StudioError):
    def __init__(self, message_id: str, reason: str) -> None:
        super().__init__(f"the job of dead letter {message_id} is over, and no new one can be made of it: {reason}")


class ObjectNotFound(StudioError):
    def __init__(self, key: str, part: str = "object") -> None:
        super().__init__(f"there is no {part} {key} in the object store")


class LimitReached(StudioError):
    """`retry_after` in seconds."""

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyRequests(LimitReached): ...


class TooManyJobs(LimitReached):
    def __init__(self, most: int) -> None:
        super().__init__(f"you have {most} jobs that wait or run, as many as you may: wait for one, or cancel one", 10)


class TooBusy(StudioError): ...


class NotAccepted(StudioError): ...


class QueueFull(NotAccepted):
    def __init__(self, model: str) -> None:
        super().__init__(f"the queue of the model {model} is full: try again later, or take another model")


class Unroutable(NotAccepted):
    def __init__(self, model: str) -> None:
        super().__init__(f"no queue takes jobs of the model {model}: its operator has to start a worker for it")


class BackendUnavailable(StudioError):
    """`backend` is "broker", "statuses", "objects" or "cache"; `cure` is for the operator, if time is none."""

    def __init__(self, backend: str, reason: object, cure: str = "") -> None:
        super().__init__(f"{backend} unavailable: {reason}" if str(reason) else f"{backend} unavailable")
        self.backend, self.cure = backend, cure

    @property
    def advice(self) -> str:
        """The reason and the cure, for the person who started the program."""
        return f"{str(self).rstrip('.')}. {self.cure}" if self.cure else str(self)


class PublishUnconfirmed(BackendUnavailable):
    def __init__(self, reason: object) -> None:
        super().__init__("broker", reason)


class NewerVersion(BackendUnavailable):
    """A program of that version can read the data, so the reader waits and throws nothing away."""

    def __init__(self, backend: str, what: str, version: int) -> None:
        super().__init__(backend, f"{what} of version {version}, which this version of the program cannot read")


class RecordUnreadable(BackendUnavailable):
    def __init__(self, job_id: str | None, backend: str = "statuses", what: str = "record") -> None:
        super().__init__(backend, f"the {what} of job {job_id} cannot be read")


class BackendRefused(BackendUnavailable): ...


class StorageDenied(BackendRefused):
    def __init__(self, reason: object, cure: str = "") -> None:
        super().__init__("objects", reason, cure)


class GenerationError(StudioError):
    code: ClassVar[str] = "generation-failed"
    retryable: ClassVar[bool] = True


class ModelUnavailable(GenerationError):
    code = "model-unavailable"


class OutOfMemory(GenerationError):
    code = "out-of-memory"
    retryable = False


class Filtered(GenerationError):
    code = "filtered"
    retryable = False  # the same seed draws the same again


class ThreadLost(GenerationError): ...


class DeadlineExceeded(ThreadLost):
    code = "timeout"


class DeviceFailed(ThreadLost):
    code = "device-failed"


class HandedBack(ThreadLost): ...
