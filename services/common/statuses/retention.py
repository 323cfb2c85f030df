"""How long both status stores remember, and their answer for a job they do not know."""

from typing import Final

from services.common.errors import JobNotFound, StatusRebuilding
from services.common.ids import created_at, is_job_id

KEY_SECONDS: Final = 24 * 3600.0  # of an Idempotency-Key
CLOCK_SECONDS: Final = 2.0  # by which the store's clock, as a gateway knows it, may lag behind its own
MOST_PARSED: Final = 1_000  # records kept parsed, of a few kilobytes each
FIRST_OF_LANE: Final = 100  # jobs that `lanes` reads of each lane, whether they were passed or not
PASSED_SECONDS: Final = 1.0  # a job is passed by one published so much later: confirmations overtake each other by less


def absent(job_id: str, epoch: float | None, retention_seconds: float, now: float) -> JobNotFound:
    """Return the error for a job that the store does not have.

    It is StatusRebuilding for a job made recently enough for its record to be kept, and before `epoch`: when the store
    was emptied, None where it was not used since. `epoch` and `now` are by the store's clock, in Unix seconds. An id
    from its future was made by another clock, or the store's was set back: then no id tells whether it is older. One
    from further ahead than records are kept was made by no clock of ours.
    """
    made = created_at(job_id) if is_job_id(job_id) else 0.0
    kept = abs(now - made) < retention_seconds
    if kept and (epoch is None or made < epoch or made > now + CLOCK_SECONDS):
        return StatusRebuilding(job_id)
    return JobNotFound(job_id)
