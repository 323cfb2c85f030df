"""Every status store, embedded or distributed, keeps its promises about the number of a party's jobs."""

import asyncio

import pytest

from services.common.errors import TooManyJobs
from services.common.ports import RELEASED, Lease, Outcome, Quota, StatusStore, Verdict
from services.common.schemas import State, StatusRecord
from tests.support.job_attempts import DONE
from tests.support.messages import new_message, new_record

pytestmark = pytest.mark.anyio

ME = Quota("me", most=3, ahead=2)


async def create(statuses: StatusStore, quota: Quota = ME) -> StatusRecord:
    return await statuses.create(new_record(new_message()), quota)


async def begin(statuses: StatusStore, record: StatusRecord) -> Lease:
    lease = Lease(record.job_id, record.message.message_id)
    assert await statuses.begin(record.message, lease) is Verdict.HELD
    return lease


async def test_who_has_enough_gets_no_more(statuses: StatusStore) -> None:
    """A party at its limit of live jobs gets no other, and nothing of it is stored; other parties do."""
    mine = [await create(statuses) for _ in range(3)]
    refused = new_record(new_message(), key="again")
    with pytest.raises(TooManyJobs, match="3 jobs"):
        await statuses.create(refused, ME)

    assert [record.job_id for record in await statuses.list()] == [record.job_id for record in mine]
    await create(statuses, Quota("other", 1, 1))
    await create(statuses, Quota("me too", None, 1))
    await statuses.create(new_record(new_message()))
    await statuses.remove(mine[0].job_id)
    assert (await statuses.create(refused, ME)).job_id == refused.job_id


@pytest.mark.parametrize("end", ["canceled", "done", "expired", "disowned", "removed"])
async def test_what_is_over_does_not_count(statuses: StatusStore, end: str) -> None:
    """A job that ends, in any way, makes room for one other."""
    first, *_ = [await create(statuses) for _ in range(3)]
    match end:
        case "canceled":
            await statuses.request_cancel(first.job_id)
        case "done":
            await statuses.finish(await begin(statuses, first), DONE)
        case "expired":
            late = first.message.model_copy(update={"expires_at": 1.0})
            assert await statuses.begin(late, Lease(first.job_id, "late")) is Verdict.LOST
        case "disowned":
            await statuses.finish(Lease.of_gateway(first.job_id), Outcome(State.CANCELED))
        case "removed":
            await statuses.remove(first.job_id)
    await statuses.remove(first.job_id)

    await create(statuses)
    with pytest.raises(TooManyJobs):
        await create(statuses)


async def test_running_and_released_jobs_count(statuses: StatusStore) -> None:
    """A job counts while it runs, and after its worker gave it back."""
    first, second, _ = [await create(statuses) for _ in range(3)]
    await begin(statuses, first)
    await statuses.finish(await begin(statuses, second), RELEASED)

    with pytest.raises(TooManyJobs):
        await create(statuses)


async def test_a_repeat_is_no_other_job(statuses: StatusStore) -> None:
    """A known id and a known Idempotency-Key are answered at the limit as well, and count once."""
    record = await statuses.create(new_record(new_message(), key="monday"), ME)
    await create(statuses)
    await create(statuses)

    again = await statuses.create(new_record(new_message(), key="monday"), ME)
    confirmed = await statuses.create(record.model_copy(update={"published": True}), ME)

    assert (again.job_id, confirmed.job_id, confirmed.published) == (record.job_id, record.job_id, True)
    await statuses.remove(record.job_id)
    await create(statuses)


async def test_the_first_few_are_not_bulk(statuses: StatusStore) -> None:
    """A job beyond a party's first few live jobs is bulk until it is over, in every view of it."""
    made = [await create(statuses) for _ in range(3)]
    last = made[-1]

    assert [record.bulk for record in made] == [False, False, True]
    assert [record.bulk for record in await statuses.list()] == [False, False, True]
    assert (await statuses.create(last.model_copy(update={"published": True}))).bulk
    await statuses.finish(await begin(statuses, last), DONE)
    assert not (await statuses.get(last.job_id)).bulk
    assert (await create(statuses)).bulk
    await statuses.request_cancel(made[0].job_id)
    await statuses.request_cancel(made[1].job_id)
    assert not (await create(statuses)).bulk


async def test_many_at_once_are_counted_right(statuses: StatusStore) -> None:
    """When many jobs are created at once, no more than the allowed number are taken."""
    results = await asyncio.gather(
        *(create(statuses, Quota("crowd", most=5, ahead=2)) for _ in range(20)), return_exceptions=True
    )

    taken = [result for result in results if isinstance(result, StatusRecord)]
    assert sorted(record.bulk for record in taken) == [False, False, True, True, True]
    assert sum(isinstance(result, TooManyJobs) for result in results) == 15
