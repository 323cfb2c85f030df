"""How long a worker waits for a store that does not let it begin a job."""

import asyncio
from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from services.common.backends import Backends
from services.common.errors import BackendUnavailable, JobNotFound, NewerVersion, RecordUnreadable, StorageDenied
from services.common.ports import Renewal, Verdict
from services.common.schemas import State, StatusRecord
from services.inference.job.lease import JobLease
from tests.support.messages import new_message

pytestmark = pytest.mark.anyio


class Moody:
    """A status store that raises these, one a call, before it lets anybody begin."""

    def __init__(self, *moods: Exception) -> None:
        self._moods = [*moods]

    async def begin(self, *_: object) -> Verdict:
        if self._moods:
            raise self._moods.pop(0)
        return Verdict.HELD


def claim(*moods: Exception) -> JobLease:
    backends = SimpleNamespace(statuses=Moody(*moods), objects=None)
    return JobLease(cast("Backends", backends), new_message(), silent_seconds=3)


@pytest.mark.parametrize(
    "lasting", [NewerVersion("objects", "a manifest", 2), RecordUnreadable("job"), StorageDenied("no")]
)
async def test_what_does_not_pass_is_not_waited_for(lasting: BackendUnavailable) -> None:
    """A job that cannot be begun now or later gives way to the others at once."""
    async with asyncio.timeout(5):
        with pytest.raises(type(lasting)):
            await claim(lasting).begin()


async def test_outage_is_waited_for() -> None:
    """A store that is away for a while costs the job nothing but that while."""
    async with asyncio.timeout(5):
        assert await claim(BackendUnavailable("statuses", "away")).begin() is Verdict.HELD


class Watched:
    """A status store that answers with these, one a look: a record, or the error to raise."""

    def __init__(self, *answers: StatusRecord | Exception) -> None:
        self._answers = [*answers]

    async def get(self, job_id: str, wait: float = 0) -> StatusRecord:
        await asyncio.sleep(wait)
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def watching(monkeypatch: pytest.MonkeyPatch, *answers: StatusRecord | Exception) -> JobLease:
    """Return the lease of a worker that looks every 50 ms, and takes over what is silent for 80."""
    monkeypatch.setattr("services.inference.job.lease.LOOK_SECONDS", 0.05)
    backends = SimpleNamespace(statuses=Watched(*answers), objects=None)
    return JobLease(cast("Backends", backends), MESSAGE, silent_seconds=0.08)


MESSAGE = new_message()
AWAY = BackendUnavailable("statuses", "away")


def leased(until: float) -> StatusRecord:
    return StatusRecord(
        job_id=MESSAGE.job_id, message=MESSAGE, state=State.RUNNING, lease_token="other", lease_expires_at=until
    )


def over(state: State) -> StatusRecord:
    return StatusRecord(job_id=MESSAGE.job_id, message=MESSAGE, state=state)


@pytest.mark.parametrize(("last", "is_over"), [(over(State.SUCCEEDED), True), (over(State.QUEUED), False)])
async def test_a_lease_that_is_renewed_is_left_alone(
    monkeypatch: pytest.MonkeyPatch, last: StatusRecord | Exception, is_over: bool
) -> None:
    """While the holder renews its lease the worker waits, and learns whether the job is over or free."""
    lease = watching(monkeypatch, *(leased(until) for until in (1, 1, 2, 2, 3, 3)), last)
    assert await lease.wait_for_holder() is is_over
    assert lease.lease.silent is None


async def test_a_lease_that_stays_silent_is_taken_over(monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal seen unchanged for long enough is named as silent, whatever the clocks say."""
    lease = watching(monkeypatch, leased(1), *[leased(2e10)] * 9)
    assert await lease.wait_for_holder() is False
    assert lease.lease.silent == Renewal("other", 2e10)


async def test_an_emptied_store_is_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that is gone may be made again by a living holder, which is then left alone."""
    monkeypatch.setattr("services.inference.job.lease.REMAKE_SECONDS", 0.05)
    gone = JobNotFound("x")
    assert await watching(monkeypatch, leased(1), gone, leased(1), leased(2), over(State.SUCCEEDED)).wait_for_holder()
    assert not await watching(monkeypatch, leased(1), gone, gone).wait_for_holder()


async def test_a_lease_is_watched_anew_after_a_write_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a store takes no writes, a living holder cannot renew its lease."""
    lease = claim(AWAY)
    lease.lease = replace(lease.lease, silent=Renewal("other", 1.0))
    await lease.begin()
    assert lease.lease.silent is None


async def test_an_outage_of_the_store_is_no_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time in which the store did not answer counts for nothing: no heartbeat could arrive."""
    lease = watching(monkeypatch, leased(1), AWAY, leased(1), AWAY, leased(1), AWAY, leased(1), over(State.FAILED))
    assert await lease.wait_for_holder() is True
    assert lease.lease.silent is None


async def test_a_record_that_cannot_be_read_is_not_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """`begin` meets the same error, which the worker tells."""
    assert await watching(monkeypatch, RecordUnreadable("job")).wait_for_holder() is False
