"""How long both status stores remember, and their answer for a job they do not know."""

import time
from typing import Final

from services.common.errors import JobNotFound, StatusRebuilding
from services.common.ids import created_at, is_job_id

KEY_SECONDS: Final = 24 * 3600.0  # of an Idempotency-Key
MOST_PARSED: Final = 1_000  # records kept parsed, of a few kilobytes each
FIRST_OF_LANE: Final = 100  # jobs that `lanes` reads of each lane, whether they were passed or not
PASSED_SECONDS: Final = 5.0  # a job counts as passed by one published so much later: confirmations overtake each other


def absent(job_id: str, epoch: float, retention_seconds: float) -> JobNotFound:
    """Return the error for a job that the store does not have.

    It is StatusRebuilding for a job made before `epoch` (Unix seconds), when the store was emptied, and recently
    enough for its record to be kept.
    """
    made = created_at(job_id) if is_job_id(job_id) else 0.0
    if time.time() - retention_seconds < made < epoch:
        return StatusRebuilding(job_id)
    return JobNotFound(job_id)
