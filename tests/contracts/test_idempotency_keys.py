"""Every status store, embedded or distributed, keeps its promises about Idempotency-Keys."""

import asyncio

import pytest

from services.common.errors import JobNotFound
from services.common.ports import Lease, Limits, Outcome, StatusStore, Verdict
from services.common.schemas import JobMessage, State, StatusRecord
from tests.contracts.conftest import OpenStatuses
from tests.support.job_attempts import DONE
from tests.support.messages import new_message, new_record

pytestmark = pytest.mark.anyio


async def finish(statuses: StatusStore, message: JobMessage, outcome: Outcome = DONE) -> StatusRecord:
    """Run one whole attempt and return the record."""
    lease = Lease(message.job_id, message.message_id)
    assert await statuses.begin(message, lease) is Verdict.HELD
    assert await statuses.finish(lease, outcome) is Verdict.HELD
    return await statuses.get(message.job_id)


async def test_idempotency_key_finds_the_first_record(statuses: StatusStore) -> None:
    """A second record with a known Idempotency-Key is not stored; the first one is returned, finished or not."""
    first = await statuses.create(new_record(new_message(owner="a"), key="k"))
    second = new_record(new_message(owner="a"), key="k")

    assert await statuses.create(second) == first
    with pytest.raises(JobNotFound):
        await statuses.get(second.job_id)
    finished = await finish(statuses, first.message)
    assert await statuses.create(second) == finished


async def test_idempotency_keys_belong_to_owners(statuses: StatusStore) -> None:
    """The same key of other owners, or none, is another key, however the names are put together."""
    for owner, key in (("a", "k"), ("b", "k"), (None, "k"), ("a:b", "c"), ("a", "b:c"), ("a", "k2"), ("a%3Ab", "c")):
        record = new_record(new_message(owner=owner), key=key)
        assert (await statuses.create(record)).job_id == record.job_id


async def test_one_of_many_records_with_a_key_is_stored(statuses: StatusStore, open_statuses: OpenStatuses) -> None:
    """Many concurrent creates with one key, over two stores, all return the same record."""
    async with open_statuses(Limits()) as elsewhere:
        stored = await asyncio.gather(
            *(one.create(new_record(new_message(), key="k")) for _ in range(20) for one in (statuses, elsewhere))
        )

    assert len({record.job_id for record in stored}) == 1
    assert await statuses.list() == stored[:1]


async def test_removed_record_is_forgotten_with_its_key(statuses: StatusStore) -> None:
    """After removal, which can be repeated, a job is unknown and its Idempotency-Key is free."""
    record = await statuses.create(new_record(new_message(), key="k"))
    for _ in range(2):
        await statuses.remove(record.job_id)

    with pytest.raises(JobNotFound):
        await statuses.get(record.job_id)
    assert await statuses.list() == []
    again = new_record(new_message(), key="k")
    assert (await statuses.create(again)).job_id == again.job_id


async def test_removal_leaves_a_key_that_went_to_another_job(statuses: StatusStore) -> None:
    """Removing a job whose key was released and used again does not take the key from the other job."""
    first = await statuses.create(new_record(new_message(), key="k"))
    released = Outcome(State.CANCELED, release_key=True)
    assert await statuses.finish(Lease.of_gateway(first.job_id), released) is Verdict.HELD
    second = await statuses.create(new_record(new_message(), key="k"))
    assert second.job_id != first.job_id

    await statuses.remove(first.job_id)

    assert await statuses.create(new_record(new_message(), key="k")) == second


async def test_key_is_kept_unless_released(statuses: StatusStore) -> None:
    """A job canceled without `release_key` keeps its Idempotency-Key."""
    first = await statuses.create(new_record(new_message(), key="k"))
    await statuses.finish(Lease.of_gateway(first.job_id), Outcome(State.CANCELED))

    assert (await statuses.create(new_record(new_message(), key="k"))).job_id == first.job_id
