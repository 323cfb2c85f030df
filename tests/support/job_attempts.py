"""Jobs and leases in the states they pass through, for the tests of every status store."""

import time
from dataclasses import replace
from uuid import uuid4

from services.common.ports import Lease, Outcome, Renewal, StatusStore, Verdict
from services.common.schemas import JobError, JobMessage, State
from tests.support.messages import new_message, new_record

DONE = Outcome(State.SUCCEEDED)
POISON = Outcome(State.FAILED, error=JobError(code="poison", message="no worker survived it"))


async def queued(statuses: StatusStore) -> JobMessage:
    """Create a queued job and return its message."""
    message = new_message()
    await statuses.create(new_record(message))
    return message


def lease_of(message: JobMessage) -> Lease:
    return Lease(message.job_id, message.message_id)


async def silent_lease_of(statuses: StatusStore, message: JobMessage) -> Lease:
    """Return a lease that takes over the present one, if there is one, as after watching it in vain."""
    return replace(lease_of(message), silent=Renewal.of(await statuses.get(message.job_id)))


def again(message: JobMessage) -> JobMessage:
    """Return another message of the same job."""
    return message.model_copy(update={"message_id": uuid4().hex})


def expired(message: JobMessage) -> JobMessage:
    return message.model_copy(update={"expires_at": time.time() - 1})


async def running(statuses: StatusStore) -> tuple[JobMessage, Lease]:
    message = await queued(statuses)
    lease = lease_of(message)
    assert await statuses.begin(message, lease) is Verdict.HELD
    return message, lease
