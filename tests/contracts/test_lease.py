"""Every status store keeps its promises about attempts: only one worker may run a job."""

import asyncio
import time
from dataclasses import replace

import pytest

from services.common.errors import JobNotFound
from services.common.ports import Lease, Limits, Outcome, Renewal, StatusStore, Verdict
from services.common.schemas import Progress, State, StatusRecord
from tests.contracts.conftest import OpenStatuses
from tests.support.job_attempts import DONE, POISON, again, lease_of, queued, running, silent_lease_of
from tests.support.messages import new_message

pytestmark = pytest.mark.anyio


async def test_begin_takes_the_lease(statuses: StatusStore) -> None:
    """A queued job that is begun runs as attempt 1, is published, and carries the lease and its time."""
    message, before = await queued(statuses), time.time()
    lease = lease_of(message)

    assert await statuses.begin(message, lease) is Verdict.HELD

    record = await statuses.get(message.job_id)
    assert (record.state, record.attempt, record.published, record.is_leased(time.time())) == (
        State.RUNNING,
        1,
        True,
        True,
    )
    assert (record.lease_token, record.lease_message_id) == (lease.token, message.message_id)
    assert record.started_at == pytest.approx(before, abs=5)
    assert record.lease_expires_at == pytest.approx(before + Limits().lease_seconds, abs=5)


async def test_begin_can_be_repeated(statuses: StatusStore) -> None:
    """Beginning again with the same token gives the same answer and changes nothing."""
    message, lease = await running(statuses)
    record = await statuses.get(message.job_id)

    assert await statuses.begin(message, lease) is Verdict.HELD
    assert await statuses.get(message.job_id) == record
    await statuses.request_cancel(message.job_id)
    assert await statuses.begin(message, lease) is Verdict.CANCEL


@pytest.mark.parametrize("lease_seconds", [15, 0.01])
async def test_redelivery_of_a_message_takes_no_lease(open_statuses: OpenStatuses, lease_seconds: float) -> None:
    """The message of a job with a lease is BUSY when it comes again, also one that was not renewed in time."""
    async with open_statuses(Limits(lease_seconds=lease_seconds)) as statuses:
        message, lease = await running(statuses)
        record = await statuses.get(message.job_id)
        while time.time() < (record.lease_expires_at or 0) < time.time() + 1:
            await asyncio.sleep(0.005)

        assert await statuses.begin(message, lease_of(message)) is Verdict.BUSY
        assert await statuses.begin(message, lease_of(message), recreate=True) is Verdict.BUSY
        assert await statuses.get(message.job_id) == record
        assert await statuses.finish(lease, DONE) is Verdict.HELD


async def test_a_lease_that_was_renewed_is_not_taken_over(statuses: StatusStore) -> None:
    """A worker that watched the lease before its last renewal gets nothing."""
    message, lease = await running(statuses)
    watched = Renewal.of(await statuses.get(message.job_id))
    await asyncio.sleep(0.01)  # the clock of a renewal has no finer steps than a microsecond
    await statuses.progress(lease, Progress(step=1, total=2))

    assert await statuses.begin(message, replace(lease_of(message), silent=watched)) is Verdict.BUSY
    assert (await statuses.get(message.job_id)).attempt == 1


async def test_a_silent_lease_is_taken_over(statuses: StatusStore) -> None:
    """A lease named as silent goes to the next attempt; the start stays, and the worker before has lost."""
    message, lost = await running(statuses)
    first = await statuses.get(message.job_id)
    lease = await silent_lease_of(statuses, message)

    assert await statuses.begin(message, lease) is Verdict.HELD
    assert await statuses.begin(message, lease) is Verdict.HELD, "asked again for want of an answer"

    record = await statuses.get(message.job_id)
    assert (record.attempt, record.lease_token, record.started_at) == (2, lease.token, first.started_at)
    assert await statuses.progress(lost, Progress(step=1, total=2)) is Verdict.LOST
    assert await statuses.finish(lost, DONE) is Verdict.LOST
    assert await statuses.get(message.job_id) == record


async def test_other_message_of_a_leased_job_is_a_duplicate(statuses: StatusStore) -> None:
    """While the lease is fresh, another message of the job gets nothing and changes nothing."""
    message, _ = await running(statuses)
    record, duplicate = await statuses.get(message.job_id), again(message)

    assert await statuses.begin(duplicate, lease_of(duplicate)) is Verdict.DUPLICATE
    assert await statuses.begin(duplicate, lease_of(duplicate), recreate=True) is Verdict.DUPLICATE
    assert await statuses.get(message.job_id) == record


async def test_other_message_may_watch_a_lease_that_ran_out(open_statuses: OpenStatuses) -> None:
    """Another message is a duplicate until the lease runs out, which progress delays; then it is BUSY."""
    async with open_statuses(Limits(lease_seconds=1)) as statuses:
        message, lease = await running(statuses)
        other, before = again(message), await statuses.get(message.job_id)
        await asyncio.sleep(0.6)
        assert await statuses.progress(lease, Progress(step=1, total=2)) is Verdict.HELD
        renewed = await statuses.get(message.job_id)
        assert (before.lease_expires_at or 0) + 0.5 < (renewed.lease_expires_at or 0)

        async with asyncio.timeout(10):
            while (verdict := await statuses.begin(other, lease_of(other))) is Verdict.DUPLICATE:
                await asyncio.sleep(0.05)

        assert verdict is Verdict.BUSY
        assert time.time() >= (renewed.lease_expires_at or 0)
        assert await statuses.begin(other, await silent_lease_of(statuses, other)) is Verdict.HELD
        assert (await statuses.get(message.job_id)).attempt == 2
        assert await statuses.finish(lease, DONE) is Verdict.LOST


async def test_late_worker_keeps_a_job_nobody_took(open_statuses: OpenStatuses) -> None:
    """A worker whose lease ran out keeps the job as long as no other worker took it over."""
    async with open_statuses(Limits(lease_seconds=0.05)) as statuses:
        _, lease = await running(statuses)
        await asyncio.sleep(0.1)

        assert await statuses.progress(lease, Progress()) is Verdict.HELD
        await asyncio.sleep(0.1)
        assert await statuses.finish(lease, DONE) is Verdict.HELD


async def test_one_of_many_messages_holds_the_job(statuses: StatusStore, open_statuses: OpenStatuses) -> None:
    """When 50 messages begin one job at once, over two stores, exactly one holds it."""
    message = await queued(statuses)
    messages = [again(message) for _ in range(50)]
    async with open_statuses(Limits()) as elsewhere:
        verdicts = await asyncio.gather(
            *((statuses, elsewhere)[at % 2].begin(one, lease_of(one)) for at, one in enumerate(messages))
        )

    assert (verdicts.count(Verdict.HELD), verdicts.count(Verdict.DUPLICATE)) == (1, 49)
    record = await statuses.get(message.job_id)
    assert (record.attempt, record.lease_message_id) == (1, messages[verdicts.index(Verdict.HELD)].message_id)


async def test_attempts_are_limited(open_statuses: OpenStatuses) -> None:
    """When the attempts are used up, beginning gives a lease that is only for ending the job."""
    async with open_statuses(Limits(max_attempts=2)) as statuses:
        message = await queued(statuses)
        for _ in range(2):
            assert await statuses.begin(message, await silent_lease_of(statuses, message)) is Verdict.HELD
        lease = await silent_lease_of(statuses, message)

        for _ in range(2):
            assert await statuses.begin(message, lease) is Verdict.EXHAUSTED
        assert await statuses.finish(lease, POISON) is Verdict.HELD

        record = await statuses.get(message.job_id)
        assert (record.state, record.error, record.attempt) == (State.FAILED, POISON.error, 2)


async def test_progress_is_stored(statuses: StatusStore) -> None:
    """The last progress is in the record until the job ends, and tells of a wish to cancel."""
    message, lease = await running(statuses)
    made = Progress(phase="saving", step=3, total=8)

    assert await statuses.progress(lease, Progress(step=1, total=8)) is Verdict.HELD
    assert await statuses.progress(lease, made) is Verdict.HELD
    assert (await statuses.get(message.job_id)).progress == made
    await statuses.request_cancel(message.job_id)
    assert await statuses.progress(lease, made) is Verdict.CANCEL
    await statuses.finish(lease, Outcome(State.CANCELED))
    assert (await statuses.get(message.job_id)).progress is None


async def test_lost_record_is_made_again(statuses: StatusStore) -> None:
    """With `recreate`, a job whose record was lost goes on as its first attempt."""
    message = new_message(owner="someone")
    lease = Lease(message.job_id, message.message_id)

    assert await statuses.begin(message, lease) is Verdict.MISSING
    assert await statuses.progress(lease, Progress()) is Verdict.MISSING
    assert await statuses.finish(lease, DONE) is Verdict.MISSING
    with pytest.raises(JobNotFound):
        await statuses.get(message.job_id)
    assert await statuses.begin(message, lease, recreate=True) is Verdict.HELD

    record = await statuses.get(message.job_id)
    expected = StatusRecord(job_id=message.job_id, message=message, created_at=message.created_at)
    times = ("started_at", "lease_expires_at", "timeline")
    assert record.model_dump(exclude=set(times)) == expected.model_copy(
        update={
            "state": State.RUNNING,
            "published": True,
            "attempt": 1,
            "lease_token": lease.token,
            "lease_message_id": message.message_id,
        }
    ).model_dump(exclude=set(times))
    assert record.is_leased(time.time())
    assert await statuses.finish(lease, DONE) is Verdict.HELD
