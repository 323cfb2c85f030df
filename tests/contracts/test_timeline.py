"""Every status store, embedded or distributed, notes the moments of a job."""

import pytest

from services.common.ports import RELEASED, Limits, Outcome, StatusStore
from services.common.schemas import Progress, State
from tests.contracts.conftest import OpenStatuses
from tests.support.job_attempts import lease_of, silent_lease_of
from tests.support.messages import new_message, new_record

pytestmark = pytest.mark.anyio


async def told(statuses: StatusStore, job_id: str) -> list[tuple[str, int]]:
    """Return the events with their attempts, and check that their times are in order."""
    record = await statuses.get(job_id)
    times = [record.created_at - 1, *(event.at for event in record.timeline)]
    assert times == sorted(times)
    return [(event.what, event.attempt) for event in record.timeline]


async def test_timeline_tells_every_attempt(statuses: StatusStore) -> None:
    """The timeline has every begin, release and takeover of a job, and each phase once an attempt."""
    record = await statuses.create(new_record(new_message()))
    for _ in range(2):
        await statuses.create(record.model_copy(update={"published": True}))
    lease = lease_of(record.message)
    await statuses.begin(record.message, lease)
    for phase in ("loading", "generating", "generating"):
        await statuses.progress(lease, Progress.model_validate({"phase": phase}))
    await statuses.finish(lease, RELEASED)
    for _ in range(2):
        lease = await silent_lease_of(statuses, record.message)
        await statuses.begin(record.message, lease)
        await statuses.progress(lease, Progress(phase="generating"))
        await statuses.progress(lease, Progress(phase="generating", step=1))
    await statuses.request_cancel(record.job_id)
    await statuses.request_cancel(record.job_id)
    await statuses.finish(lease, Outcome(State.CANCELED))

    assert await told(statuses, record.job_id) == [
        ("published", 0),
        *[("begun", 1), ("loading", 1), ("generating", 1), ("released", 1)],
        *[("begun", 1), ("generating", 1), ("begun", 2), ("generating", 2)],
        *[("canceling", 2), ("canceled", 2)],
    ]


async def test_timeline_of_a_poison_job(open_statuses: OpenStatuses) -> None:
    """A refused attempt is no event of its own; a begin before the gateway's confirmation implies `published`."""
    async with open_statuses(Limits(max_attempts=1)) as statuses:
        record = await statuses.create(new_record(new_message()))
        for _ in range(2):
            await statuses.begin(record.message, await silent_lease_of(statuses, record.message))

        assert await told(statuses, record.job_id) == [("published", 1), ("begun", 1), ("exhausted", 1)]


async def test_timeline_does_not_grow_without_end(statuses: StatusStore) -> None:
    """A job that is handed back a hundred times keeps a record of limited size, and ends all the same."""
    record = await statuses.create(new_record(new_message()))
    for _ in range(100):
        lease = lease_of(record.message)
        await statuses.begin(record.message, lease)
        await statuses.finish(lease, RELEASED)
    await statuses.request_cancel(record.job_id)

    ended = await statuses.get(record.job_id)
    assert (ended.state, len(ended.timeline)) == (State.CANCELED, 60)
