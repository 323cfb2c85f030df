"""Every status store keeps its promises about the end of a job: only its holder ends it, and it stays ended."""

import asyncio
import time

import pytest

from services.common.errors import JobNotFound
from services.common.ids import new_job_id
from services.common.ports import RELEASED, Lease, Limits, Outcome, StatusStore, Verdict
from services.common.schemas import Artifact, JobError, JobWarning, Progress, State
from services.common.statuses import waiters
from tests.contracts.conftest import OpenStatuses
from tests.support.job_attempts import DONE, again, expired, lease_of, queued, running, silent_lease_of

pytestmark = pytest.mark.anyio


ENDS = (State.SUCCEEDED, State.FAILED, State.CANCELED, State.EXPIRED)


async def test_finished_record_is_read_as_finished(statuses: StatusStore) -> None:
    """The outcome of a job comes back whole, with the times of its beginning and end."""
    artifacts = tuple(
        Artifact(index=index, key=f"jobs/x/{index}.png", media_type="image/png", bytes=5, sha256="0", seed=2**32 - 1)
        for index in range(2)
    )
    error = JobError(code="generation-failed", message='é "quoted" ☕', retryable=True)
    before = time.time()
    message, lease = await running(statuses)
    await statuses.finish(lease, Outcome(State.FAILED, artifacts, error))

    record = await statuses.get(message.job_id)

    assert (record.state, record.artifacts, record.error) == (State.FAILED, artifacts, error)
    assert record.started_at is not None
    assert record.finished_at is not None
    assert before - 1 <= record.started_at <= record.finished_at <= time.time() + 1
    assert (record.progress, record.lease_token, record.lease_message_id, record.is_leased(time.time())) == (
        None,
        None,
        None,
        False,
    )


async def test_warnings_are_kept(statuses: StatusStore) -> None:
    """The warnings of an outcome come back in order, also after a `finish` whose answer was lost; others have none."""
    warnings = tuple(JobWarning(code=f"code-{number}", message=f'{number} "cut" “☕”\n') for number in range(2))
    message, lease = await running(statuses)
    assert (await statuses.get(message.job_id)).warnings == ()
    for _ in range(2):
        await statuses.finish(lease, Outcome(State.SUCCEEDED, warnings=warnings))
        assert (await statuses.get(message.job_id)).warnings == warnings

    other, lease = await running(statuses)
    await statuses.finish(lease, DONE)
    assert (await statuses.get(other.job_id)).warnings == ()


async def test_released_job_gets_its_attempt_back(open_statuses: OpenStatuses) -> None:
    """A released job is queued again with the attempt it had, and any message may begin it."""
    async with open_statuses(Limits(max_attempts=1)) as statuses:
        message = await queued(statuses)
        for _ in range(3):
            other = again(message)
            lease = lease_of(other)
            assert await statuses.begin(other, lease) is Verdict.HELD
            await statuses.progress(lease, Progress(step=1, total=2))
            for _ in range(2):  # its answer may be lost
                assert await statuses.finish(lease, RELEASED) is Verdict.HELD
            record = await statuses.get(message.job_id)
            assert (record.state, record.attempt, record.is_leased(time.time())) == (State.QUEUED, 0, False)
            assert (record.lease_token, record.progress, record.finished_at) == (None, None, None)
        assert [record.job_id] == [each.job_id for each in await statuses.list()]


async def test_job_not_begun_in_time_expires(statuses: StatusStore) -> None:
    """A job whose first attempt would begin after `expires_at` ends as expired."""
    message = expired(await queued(statuses))

    assert await statuses.begin(message, lease_of(message)) is Verdict.LOST

    record = await statuses.get(message.job_id)
    assert (record.state, record.attempt, record.is_leased(time.time())) == (State.EXPIRED, 0, False)
    assert record.finished_at == pytest.approx(time.time(), abs=5)


async def test_job_begun_in_time_does_not_expire(statuses: StatusStore) -> None:
    """A job that was begun once goes on after its `expires_at`."""
    message, _ = await running(statuses)

    assert await statuses.begin(expired(message), await silent_lease_of(statuses, message)) is Verdict.HELD


@pytest.mark.parametrize("state", ENDS)
async def test_terminal_state_never_changes(statuses: StatusStore, state: State) -> None:
    """Once a job has ended, nothing but its removal changes the record."""
    message, lease = await running(statuses)
    await statuses.finish(lease, Outcome(state))
    record = await statuses.get(message.job_id)
    assert record.state is state
    other = Outcome(State.FAILED if state is State.SUCCEEDED else State.SUCCEEDED)

    for taken in (lease, lease_of(message)):
        assert await statuses.begin(message, taken) is Verdict.LOST
        assert await statuses.begin(message, taken, recreate=True) is Verdict.LOST
        assert await statuses.progress(taken, Progress(step=1)) is Verdict.LOST
        assert await statuses.finish(taken, other) is Verdict.LOST
        assert await statuses.finish(taken, RELEASED) is Verdict.LOST
    assert await statuses.finish(Lease.of_gateway(message.job_id), other) is Verdict.LOST
    assert await statuses.request_cancel(message.job_id) == record
    assert await statuses.get(message.job_id) == record


async def test_finish_can_be_repeated(statuses: StatusStore) -> None:
    """A worker that repeats its `finish` because the answer was lost still learns that it ended the job."""
    message, lease = await running(statuses)
    for _ in range(2):
        assert await statuses.finish(lease, DONE) is Verdict.HELD
        record = await statuses.get(message.job_id)

    assert await statuses.finish(lease_of(message), DONE) is Verdict.LOST
    assert await statuses.get(message.job_id) == record


async def test_gateway_ends_only_queued_jobs(statuses: StatusStore) -> None:
    """The gateway's lease ends a queued job and changes nothing of a running one."""
    message, _ = await running(statuses)
    record = await statuses.get(message.job_id)
    other = await queued(statuses)
    error = JobError(code="not-accepted", message="not confirmed in time", retryable=True)

    assert await statuses.finish(Lease.of_gateway(message.job_id), Outcome(State.CANCELED)) is Verdict.LOST
    assert await statuses.progress(Lease.of_gateway(message.job_id), Progress()) is Verdict.LOST
    assert await statuses.progress(Lease.of_gateway(other.job_id), Progress()) is Verdict.LOST
    assert await statuses.finish(Lease.of_gateway(other.job_id), Outcome(State.CANCELED, error=error)) is Verdict.HELD

    assert await statuses.get(message.job_id) == record
    ended = await statuses.get(other.job_id)
    assert (ended.state, ended.error) == (State.CANCELED, error)


async def test_gateway_and_worker_race_for_a_job(statuses: StatusStore, open_statuses: OpenStatuses) -> None:
    """If a gateway gives a job up while a worker begins it, exactly one of them gets it."""
    async with open_statuses(Limits()) as elsewhere:
        for _ in range(10):
            message = await queued(statuses)
            ended, begun = await asyncio.gather(
                elsewhere.finish(Lease.of_gateway(message.job_id), Outcome(State.CANCELED)),
                statuses.begin(message, lease_of(message)),
            )
            assert {ended, begun} == {Verdict.HELD, Verdict.LOST}
            expected = State.CANCELED if ended is Verdict.HELD else State.RUNNING
            assert (await statuses.get(message.job_id)).state is expected


async def test_queued_job_is_canceled_at_once(statuses: StatusStore) -> None:
    """Cancelling a queued job ends it; a worker that gets its message later may not run it."""
    message = await queued(statuses)

    record = await statuses.request_cancel(message.job_id)

    assert (record.state, record.attempt) == (State.CANCELED, 0)
    assert record.finished_at == pytest.approx(time.time(), abs=5)
    assert await statuses.get(message.job_id) == record
    assert await statuses.begin(message, lease_of(message)) is Verdict.LOST


async def test_running_job_is_flagged(statuses: StatusStore) -> None:
    """Cancelling a running job leaves it to its worker, and to the next one if that dies."""
    message, _ = await running(statuses)

    record = await statuses.request_cancel(message.job_id)

    assert (record.state, record.cancel_requested) == (State.RUNNING, True)
    assert await statuses.get(message.job_id) == record
    assert await statuses.begin(message, await silent_lease_of(statuses, message)) is Verdict.CANCEL


@pytest.mark.parametrize("ended_by", ["worker", "client"])
async def test_whoever_waits_hears_of_the_end(
    open_statuses: OpenStatuses, monkeypatch: pytest.MonkeyPatch, ended_by: str
) -> None:
    """`get` with `wait` returns when the job ends, in another process as in this one, without looking in between."""
    monkeypatch.setattr(waiters, "LOOK_SECONDS", 60)
    async with open_statuses(Limits()) as statuses, open_statuses(Limits()) as others:
        message = await queued(statuses)
        hearing = asyncio.create_task(statuses.get(message.job_id, 60))
        await asyncio.sleep(0.2)
        assert not hearing.done()
        if ended_by == "worker":
            lease = lease_of(message)
            await others.begin(message, lease)
            await others.finish(lease, DONE)
        else:
            await statuses.request_cancel(message.job_id)

        async with asyncio.timeout(20):
            record = await hearing

    assert record.state is (State.SUCCEEDED if ended_by == "worker" else State.CANCELED)


async def test_waiting_ends_with_the_job_as_it_is(statuses: StatusStore) -> None:
    """`get` with `wait` returns a job that is not over when the time has passed, and raises for one unknown."""
    message = await queued(statuses)

    assert (await statuses.get(message.job_id, 0.05)).state is State.QUEUED
    with pytest.raises(JobNotFound):
        await statuses.get(new_job_id(), 0.05)
