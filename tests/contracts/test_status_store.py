"""Every status store, embedded or distributed, keeps its promises about records."""

import asyncio
import secrets
import time
from uuid import UUID

import pytest

from services.common.errors import JobNotFound, StatusRebuilding
from services.common.ids import is_job_id
from services.common.ports import Lease, Limits, Outcome, StatusStore, Verdict
from services.common.schemas import Progress, State
from tests.contracts.conftest import OpenStatuses
from tests.support.job_attempts import DONE
from tests.support.messages import new_message, new_record

pytestmark = pytest.mark.anyio


def job_id_made_at(seconds: float) -> str:
    """Return a job id as it would have been made at that Unix time."""
    job_id = str(UUID(int=int(seconds * 1000) << 80 | 0x7 << 76 | 0b10 << 62 | secrets.randbits(62)))
    assert is_job_id(job_id)
    return job_id


async def await_forgotten(statuses: StatusStore, job_id: str) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await statuses.get(job_id)
            except JobNotFound:
                return
            await asyncio.sleep(0.05)


async def test_record_is_read_as_created(statuses: StatusStore) -> None:
    """Every field of a new record comes back as it was stored, awkward texts and numbers included."""
    message = new_message(owner="é: {}").model_copy(update={"params": {"prompt": "☕\u2028'\"%s", "a": 0.1, "b": None}})
    record = new_record(message, key="k'1").model_copy(update={"body_hash": "", "created_at": 1e9 + 1 / 3})

    assert record == await statuses.create(record)
    assert record == await statuses.get(record.job_id)


async def test_known_id_is_only_confirmed(statuses: StatusStore) -> None:
    """Creating a record whose id is known raises its `published` flag, never lowers it and changes nothing else."""
    record = await statuses.create(new_record(new_message()))
    other = record.model_copy(update={"published": True, "attempt": 2, "body_hash": "other"})

    confirmed = await statuses.create(other)
    assert [event.what for event in confirmed.timeline] == ["published"]
    assert confirmed == record.model_copy(update={"published": True, "timeline": confirmed.timeline})
    assert await statuses.create(record) == confirmed
    assert await statuses.get(record.job_id) == confirmed


async def test_confirming_leaves_a_terminal_state(statuses: StatusStore) -> None:
    """A confirmation that comes after the job was canceled does not bring it back."""
    record = await statuses.create(new_record(new_message()))
    await statuses.request_cancel(record.job_id)

    confirmed = await statuses.create(record.model_copy(update={"published": True}))

    assert (confirmed.state, confirmed.published) == (State.CANCELED, True)


async def test_published_job_is_not_given_up(statuses: StatusStore) -> None:
    """The gateway gives up a job and its key until another gateway has published it; after that it can only end it."""
    given_up = Outcome(State.CANCELED, release_key=True)
    record = await statuses.create(new_record(new_message(), key="k"))
    accepted = await statuses.create(record.model_copy(update={"published": True}))

    assert await statuses.finish(Lease.of_gateway(record.job_id), given_up) is Verdict.LOST
    assert await statuses.get(record.job_id) == accepted
    assert (await statuses.create(new_record(new_message(), key="k"))).job_id == record.job_id
    assert await statuses.finish(Lease.of_gateway(record.job_id), Outcome(State.EXPIRED)) is Verdict.HELD

    other = await statuses.create(new_record(new_message()))
    assert await statuses.finish(Lease.of_gateway(other.job_id), given_up) is Verdict.HELD


async def test_list_pages_through_live_records(statuses: StatusStore) -> None:
    """Queued and running records are listed in order of their ids, page by page; terminal ones are not."""
    live = sorted([(await statuses.create(new_record(new_message()))).job_id for _ in range(5)])
    running = await statuses.get(live[2])
    await statuses.begin(running.message, Lease(running.job_id, running.message.message_id))
    ended = await statuses.create(new_record(new_message()))
    await statuses.request_cancel(ended.job_id)

    pages = [await statuses.list(limit=2)]
    while pages[-1]:
        pages.append(await statuses.list(after=pages[-1][-1].job_id, limit=2))

    assert [record.job_id for page in pages for record in page] == live
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert pages[1][0] == await statuses.get(live[2])


async def test_terminal_records_are_forgotten_after_their_retention(open_statuses: OpenStatuses) -> None:
    """A terminal record goes with its key when its retention is over; a live one as old stays."""
    async with open_statuses(Limits(retention_seconds=0.5)) as statuses:
        ended, live = new_message(), await statuses.create(new_record(new_message(), key="live"))
        await statuses.create(new_record(ended, key="ended"))
        lease = Lease(ended.job_id, ended.message_id)
        await statuses.begin(ended, lease)
        await statuses.finish(lease, DONE)

        await await_forgotten(statuses, ended.job_id)

        assert await statuses.get(live.job_id) == live
        assert await statuses.begin(ended, Lease(ended.job_id, ended.message_id)) is Verdict.MISSING
        again = new_record(new_message(), key="ended")
        assert (await statuses.create(again)).job_id == again.job_id
        assert (await statuses.create(new_record(new_message(), key="live"))).job_id == live.job_id


@pytest.mark.parametrize("age_seconds", [0.0, 3600.0, -3600.0])
async def test_unknown_job_is_not_found(open_statuses: OpenStatuses, age_seconds: float) -> None:
    """An id younger than the store, or further from now than the retention, is unknown: the job was never made."""
    async with open_statuses(Limits(retention_seconds=600)) as statuses:
        await asyncio.sleep(0.01)
        job_id = job_id_made_at(time.time() - age_seconds)
        for read in (statuses.get, statuses.request_cancel):
            with pytest.raises(JobNotFound) as caught:
                await read(job_id)
            assert type(caught.value) is JobNotFound


@pytest.mark.parametrize("age_seconds", [300.0, -300.0])
async def test_job_older_than_an_emptied_store_may_exist(open_statuses: OpenStatuses, age_seconds: float) -> None:
    """An unknown id made before the store's first use, or by a clock that goes ahead, raises StatusRebuilding."""
    job_id = job_id_made_at(time.time() - age_seconds)
    async with open_statuses(Limits(retention_seconds=600)) as statuses:
        for read in (statuses.get, statuses.request_cancel):
            with pytest.raises(StatusRebuilding):
                await read(job_id)


@pytest.mark.parametrize("text", ["", "x", "00000000-0000-4000-8000-000000000000", "é" * 50, "../../etc/passwd"])
async def test_text_that_is_no_job_id_is_not_found(statuses: StatusStore, text: str) -> None:
    """A text that is no job id is not found, even in an emptied store."""
    for read in (statuses.get, statuses.request_cancel):
        with pytest.raises(JobNotFound) as caught:
            await read(text)
        assert type(caught.value) is JobNotFound


async def test_records_outlive_the_store_object(open_statuses: OpenStatuses) -> None:
    """After a restart of every service the records are there, and the epoch is the old one."""
    async with open_statuses(Limits()) as before:
        record = await before.create(new_record(new_message()))
    await asyncio.sleep(0.01)
    unknown = job_id_made_at(time.time())
    await asyncio.sleep(0.01)
    async with open_statuses(Limits()) as after:
        assert await after.get(record.job_id) == record
        with pytest.raises(JobNotFound) as caught:
            await after.get(unknown)
        assert type(caught.value) is JobNotFound


async def test_cancelled_calls_leave_the_store_usable(statuses: StatusStore) -> None:
    """Calls cancelled at any moment disturb no other: later callers get their own answers, and nothing is half done."""
    records = [await statuses.create(new_record(new_message())) for _ in range(2)]
    message = records[0].message
    lease = Lease(message.job_id, message.message_id)
    for attempt in range(40):
        calls = [
            asyncio.ensure_future(call)
            for call in (
                statuses.create(new_record(new_message(), key=str(attempt))),
                statuses.get(records[1].job_id),
                statuses.begin(message, lease),
                statuses.progress(lease, Progress(step=attempt)),
            )
        ]
        await asyncio.sleep(attempt / 40_000)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        assert await statuses.get(records[1].job_id) == records[1]

    assert await statuses.begin(message, lease) is Verdict.HELD
    assert (await statuses.get(message.job_id)).attempt == 1
    for attempt in range(40):  # a key never leads to a record that is not there
        keyed = await statuses.create(new_record(new_message(), key=str(attempt)))
        assert await statuses.get(keyed.job_id) == keyed
