"""The outcomes of jobs without artifacts, in the words that clients read."""

from typing import Final

from services.common.errors import GenerationError
from services.common.ports import Outcome
from services.common.schemas import JobError, State


def failed(code: str, message: str, *, retryable: bool) -> Outcome:
    return Outcome(State.FAILED, error=JobError(code=code, message=message, retryable=retryable))


CANCELED: Final = Outcome(State.CANCELED)
POISON: Final = failed(
    "poison",
    "every worker that tried this job went down, so it is not tried again: change it, or ask the operator",
    retryable=False,
)
FAILED: Final = failed(
    GenerationError.code,
    "the model failed on this job: try again, and if it fails again, ask the operator, whose log has the reason",
    retryable=True,
)
UNSTORED: Final = failed(
    "storage-unavailable", "the object store did not take the result for a minute: try again later", retryable=True
)
DENIED: Final = failed(
    "storage-denied",
    "the object store does not let the result be kept: its operator has to mend credentials, policy or bucket",
    retryable=False,
)
