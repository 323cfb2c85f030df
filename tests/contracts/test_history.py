"""Every status store, embedded or distributed, keeps its promises about an owner's jobs."""

import asyncio
import time

import pytest

from services.common.errors import JobNotFound
from services.common.ports import Lease, Limits, StatusStore
from services.common.schemas import State
from tests.contracts.conftest import OpenStatuses
from tests.support.job_attempts import DONE
from tests.support.messages import new_message, new_record

pytestmark = pytest.mark.anyio


async def create(statuses: StatusStore, owner: str | None, count: int = 1) -> list[str]:
    """Create jobs of this owner; return their ids, the newest first."""
    made = [(await statuses.create(new_record(new_message(owner=owner)))).job_id for _ in range(count)]
    return sorted(made, reverse=True)


async def owned(statuses: StatusStore, owner: str) -> list[str]:
    return [record.job_id for record in await statuses.list(owner=owner)]


async def test_owner_pages_through_own_jobs_in_every_state(statuses: StatusStore) -> None:
    """An owner's queued, running and ended jobs are listed page by page, the newest first."""
    mine = await create(statuses, "me", 5)
    running, ended = [(await statuses.get(job_id)).message for job_id in mine[1:3]]
    await statuses.begin(running, Lease(running.job_id, running.message_id))
    await statuses.request_cancel(ended.job_id)

    pages = [await statuses.list(limit=2, owner="me")]
    while pages[-1]:
        pages.append(await statuses.list(pages[-1][-1].job_id, 2, owner="me"))

    assert [record.job_id for page in pages for record in page] == mine
    assert [len(page) for page in pages] == [2, 2, 1, 0]
    assert [record.state for record in pages[0]] == [State.QUEUED, State.RUNNING]
    assert pages[1][0] == await statuses.get(ended.job_id)


async def test_nobody_sees_the_jobs_of_another(statuses: StatusStore) -> None:
    """Owners with similar names, and those without one, each see their own jobs only."""
    owners: list[str | None] = ["a", "A", "a:b", "a%", "é", None]
    made = {owner: await create(statuses, owner, 2) for owner in owners}

    for owner, jobs in made.items():
        assert await owned(statuses, owner or "") == jobs
    assert await owned(statuses, "nobody") == []


async def test_what_is_no_job_any_more_leaves_the_list(open_statuses: OpenStatuses) -> None:
    """Removed and forgotten jobs leave their owner's list, and pages behind them are whole."""
    async with open_statuses(Limits(retention_seconds=0.3)) as statuses:
        kept = await create(statuses, "me")
        removed, forgotten = await create(statuses, "me", 2)
        kept = [*await create(statuses, "me"), *kept]
        await statuses.remove(removed)
        await statuses.request_cancel(forgotten)
        async with asyncio.timeout(10):
            while forgotten in await owned(statuses, "me"):
                await asyncio.sleep(0.05)

        assert await owned(statuses, "me") == kept
        assert len(await statuses.list(limit=2, owner="me")) == 2


async def test_a_refused_record_is_listed_once_under_its_first_id(statuses: StatusStore) -> None:
    """A record that was not stored because its key is known appears in no list."""
    first = await statuses.create(new_record(new_message(owner="me"), key="k"))
    again = await statuses.create(new_record(new_message(owner="me"), key="k"))

    assert again == first
    assert await owned(statuses, "me") == [first.job_id]


async def test_a_record_made_again_is_its_owners(statuses: StatusStore) -> None:
    """A job whose record was lost is in its owner's list again once a worker has begun it."""
    message = new_message(owner="me")
    lease = Lease(message.job_id, message.message_id)
    await statuses.begin(message, lease, recreate=True)
    assert await owned(statuses, "me") == [message.job_id]

    await statuses.finish(lease, DONE)

    assert [record.state for record in await statuses.list(owner="me")] == [State.SUCCEEDED]


async def test_ended_jobs_are_not_listed_past_their_retention(open_statuses: OpenStatuses) -> None:
    """A job that `get` no longer finds is in no list either, though nothing was written since."""
    async with open_statuses(Limits(retention_seconds=0.2)) as statuses:
        (ended,) = await create(statuses, "me")
        await statuses.request_cancel(ended)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            try:
                await statuses.get(ended)
            except JobNotFound:
                break
            await asyncio.sleep(0.02)

        assert await owned(statuses, "me") == []
