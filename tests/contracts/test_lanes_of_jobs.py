"""Every status store tells, lane by lane, which live jobs are without a lease and were passed by later ones."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest

from services.common.ports import RELEASED, Limits, Quota, StatusStore, Verdict
from services.common.schemas import JobMessage, Progress, StatusRecord
from services.common.statuses.lane import Lane
from tests.contracts.conftest import OpenStatuses
from tests.support.job_attempts import DONE, again, lease_of
from tests.support.messages import new_message, new_model, new_record

pytestmark = pytest.mark.anyio

MODEL = new_model()


@pytest.fixture(autouse=True)
def nothing_overtakes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every later confirmation for a later message: these tests make one call after the other."""
    for store in ("sqlite_lanes", "redis"):
        monkeypatch.setattr(f"services.common.statuses.{store}.PASSED_SECONDS", 0)


@pytest.fixture
async def messages(statuses: StatusStore) -> AsyncIterator[list[JobMessage]]:
    """The messages of four published jobs, in the order of their publication, which is not that of their ids."""
    made = sorted((new_message(MODEL) for _ in range(4)), key=lambda message: message.job_id, reverse=True)
    for message in made:
        await statuses.create(new_record(message))
        await publish(statuses, message)
    yield made
    for message in made:
        await statuses.remove(message.job_id)


async def publish(statuses: StatusStore, message: JobMessage) -> None:
    record = await statuses.get(message.job_id)
    await statuses.create(record.model_copy(update={"published": True}))
    await asyncio.sleep(0.001)


async def lane_of(statuses: StatusStore, most: int = 100) -> Lane:
    """Return the one lane of the model; an empty one where the store has none."""
    found = [lane for lane in await statuses.lanes(most) if lane.model == MODEL]
    assert len(found) < 2
    return found[0] if found else Lane(MODEL, bulk=False, jobs=(), passed=frozenset(), leased=frozenset())


def ids(messages: Sequence[JobMessage | StatusRecord]) -> list[str]:
    return [each.job_id for each in messages]


async def test_order_of_publication(statuses: StatusStore, messages: list[JobMessage]) -> None:
    """Jobs come in the order in which they were published, and one published again comes last."""
    assert ids((await lane_of(statuses)).jobs) == ids(messages)

    await publish(statuses, messages[1])
    lane = await lane_of(statuses)
    assert ids(lane.jobs) == ids([messages[0], *messages[2:], messages[1]])
    assert (lane.passed, lane.leased) == (frozenset(), frozenset())


async def test_passed_jobs(statuses: StatusStore, messages: list[JobMessage]) -> None:
    """A job begun passes those published before it, also when it has ended; the others are not passed."""
    lease = lease_of(messages[2])
    assert await statuses.begin(messages[2], lease) is Verdict.HELD
    lane = await lane_of(statuses)
    assert (ids(lane.jobs), lane.leased) == (ids([*messages[:2], messages[3]]), frozenset(ids(messages[2:3])))
    assert lane.passed == {*ids(messages[:2])}

    await statuses.finish(lease, DONE)
    after = await lane_of(statuses)
    assert (after.jobs, after.passed, after.leased) == (lane.jobs, lane.passed, frozenset())


async def test_a_job_published_again_passes_none(statuses: StatusStore, messages: list[JobMessage]) -> None:
    """The beginning of a job with two messages tells nothing of the queue: it may be by the first."""
    await publish(statuses, messages[0])
    await statuses.begin(messages[0], lease_of(messages[0]))

    assert (await lane_of(statuses)).passed == frozenset()


async def test_released_job_keeps_its_place(statuses: StatusStore, messages: list[JobMessage]) -> None:
    """A job that was handed back is among the waiting ones again, at its old place."""
    lease = lease_of(messages[1])
    await statuses.begin(messages[1], lease)
    await statuses.finish(lease, RELEASED)

    lane = await lane_of(statuses)
    assert (ids(lane.jobs), lane.leased, lane.passed) == (ids(messages), frozenset(), frozenset(ids(messages[:2])))


async def test_silent_jobs(open_statuses: OpenStatuses, messages: list[JobMessage]) -> None:
    """A running job is among those without a lease once that ran out, until it is renewed."""
    lease = lease_of(messages[1])
    async with open_statuses(Limits(lease_seconds=0.001)) as asleep, open_statuses(Limits()) as awake:
        await asleep.begin(messages[1], lease)
        await asyncio.sleep(0.01)
        assert ids((await lane_of(asleep)).jobs) == ids([messages[1], messages[0], *messages[2:]])
        assert (await lane_of(awake)).leased == {messages[1].job_id}, "it was silent for less than such a lease"
        await awake.progress(lease, Progress())
        assert (await lane_of(asleep)).leased == {messages[1].job_id}


async def test_all_passed_jobs_are_read_and_few_others(statuses: StatusStore) -> None:
    """The passed jobs of a long lane are read, up to the limit, and a hundred of the others."""
    made = [new_message(MODEL) for _ in range(130)]
    for message in made:
        await statuses.create(new_record(message))
        await publish(statuses, message)
    assert ids((await lane_of(statuses, 500)).jobs) == ids(made[:100])

    await statuses.begin(made[-1], lease_of(made[-1]))
    assert ids((await lane_of(statuses, 500)).jobs) == ids(made[:129])
    assert ids((await lane_of(statuses, 50)).jobs) == ids(made[:50])
    for message in made:
        await statuses.remove(message.job_id)


async def test_lanes_of_a_model(statuses: StatusStore) -> None:
    """The jobs in the bulk lane are a lane of their own, which those of the first lane do not pass."""
    first, bulk, later = [new_message(MODEL) for _ in range(3)]
    for message, ahead in ((bulk, 0), (first, 9), (later, 9)):
        await statuses.create(new_record(message), Quota(f"{message.job_id}", None, ahead))
        await publish(statuses, message)
    await statuses.begin(later, lease_of(later))

    lanes = [lane for lane in await statuses.lanes(10) if lane.model == MODEL]
    assert sorted(ids(lane.jobs) for lane in lanes) == sorted([[first.job_id], [bulk.job_id]])
    assert frozenset().union(*(lane.passed for lane in lanes)) == {first.job_id}
    for message in (first, bulk, later):
        await statuses.remove(message.job_id)


async def test_a_job_that_is_gone_leaves_its_lane(statuses: StatusStore, messages: list[JobMessage]) -> None:
    """Ended, canceled and removed jobs are in no lane."""
    ended, canceled, removed, _ = messages
    lease = lease_of(ended)
    await statuses.begin(ended, lease)
    await statuses.finish(lease, DONE)
    await statuses.request_cancel(canceled.job_id)
    await statuses.remove(removed.job_id)

    lane = await lane_of(statuses)
    assert (ids(lane.jobs), lane.leased) == (ids(messages[3:]), frozenset())


async def test_record_made_again_is_in_its_lane(statuses: StatusStore, messages: list[JobMessage]) -> None:
    """A job whose record a worker made again after a loss is in its lane as a leased one."""
    await statuses.remove(messages[0].job_id)
    other = again(messages[0])
    await statuses.begin(other, replace(lease_of(other)), recreate=True)

    assert (await lane_of(statuses)).leased == {messages[0].job_id}
