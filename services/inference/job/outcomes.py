"""The outcomes of jobs without artifacts, in the words that clients read."""

from typing import Final

from services.common.errors import GenerationError
from services.common.ports import Outcome
from services.common.schemas import JobError, State


def failed(code: str, message: str, *, retryable: bool) -> Outcome:
    return Outcome(State.FAILED, error=JobError(code=code, message=message, retryable=retryable))


CANCELED: Final = Outcome(State.CANCELED)
POISON: Final = failed("poison", "every worker that tried this job went down", retryable=False)
FAILED: Final = failed(GenerationError.code, "the model failed on this job", retryable=True)
UNSTORED: Final = failed("storage-unavailable", "the result could not be stored", retryable=True)
DENIED: Final = failed("storage-denied", "the object store does not let us keep the result", retryable=False)
