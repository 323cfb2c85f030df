"""Redis alone has hangs, flushes, restarts, times to live, and connections that callers share."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from services.common.errors import BackendUnavailable, JobNotFound, StatusRebuilding
from services.common.ids import new_job_id
from services.common.ports import Lease, Limits, Outcome, Verdict
from services.common.redis.link import open_redis_link
from services.common.schemas import Progress, State, StatusRecord
from services.common.statuses.redis import RedisStatusStore
from tests.support.job_attempts import silent_lease_of
from tests.support.messages import new_message, new_record
from tests.support.servers.redis_links import open_cache_at, open_statuses_at
from tests.support.servers.stack import Stack

pytestmark = [pytest.mark.anyio, pytest.mark.services]

DONE = Outcome(State.SUCCEEDED)


@pytest.fixture
async def statuses(stack: Stack) -> AsyncIterator[RedisStatusStore]:
    async with open_statuses_at(stack.statuses_url, Limits()) as store:
        yield store


@pytest.fixture
async def client(stack: Stack) -> AsyncIterator[Redis]:
    client = Redis.from_url(stack.statuses_url, decode_responses=True)
    yield client
    await client.aclose()


async def test_hung_redis_is_answered_in_time(statuses: RedisStatusStore, stack: Stack) -> None:
    """While Redis is suspended a call raises within 3 s; it works again afterwards."""
    record = await statuses.create(new_record(new_message()))
    stack.redis.pause()
    try:
        started = time.monotonic()
        with pytest.raises(BackendUnavailable):
            await statuses.get(record.job_id)
        assert time.monotonic() - started < 3
    finally:
        stack.redis.resume()

    assert record == await statuses.get(record.job_id)


async def test_slow_close_is_no_fault(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that does not close in time ends neither the process nor its other backends."""

    async def close() -> None:
        raise RedisTimeoutError("Timed out closing connection after 1.0")

    async with open_redis_link(stack.statuses_url) as link:
        assert await link.call("statuses", 2.5, "PING")
        monkeypatch.setattr(link.client, "aclose", close)
        pool = link.client.connection_pool
    await pool.aclose()


async def test_waiting_outlives_its_connection(statuses: RedisStatusStore, client: Redis) -> None:
    """A caller that waits for a job learns of its end although the subscription's connection was cut."""
    record = await statuses.create(new_record(new_message()))
    waiting = asyncio.create_task(statuses.get(record.job_id, 60))
    async with asyncio.timeout(20):
        while not await client.pubsub_numsub("studio:ended") > [("studio:ended", 0)]:
            await asyncio.sleep(0.01)
        assert await client.client_kill_filter(_type="pubsub") == 1
        await statuses.request_cancel(record.job_id)

        assert (await waiting).state is State.CANCELED


async def test_every_key_expires(statuses: RedisStatusStore, client: Redis) -> None:
    """After whole lives of jobs, and in the middle of others, no key stays for ever."""
    await client.flushall()
    async with asyncio.timeout(10):
        for lease in (Lease(new_job_id(), "m"), Lease(new_job_id(), "m")):
            message = new_message(owner="someone").model_copy(update={"job_id": lease.job_id})
            await statuses.create(new_record(message, key=lease.job_id))
            assert Verdict.HELD is await statuses.begin(message, lease)
            await statuses.progress(lease, Progress(step=1, total=2))
        await statuses.finish(lease, DONE)
        await statuses.create(new_record(new_message()))
        lost = new_message()
        await statuses.begin(lost, Lease(lost.job_id, "m"), recreate=True)

    times = {key: await client.ttl(key) async for key in client.scan_iter()}

    # Four jobs, two idempotency keys, the jobs of two owners, the live jobs and the epoch; the lanes, and of the one
    # lane its waiting and leased jobs and up to where it was served.
    assert len(times) == 14
    assert {key: seconds for key, seconds in times.items() if seconds <= 0} == {}


async def test_records_of_an_earlier_version_get_their_lane(statuses: RedisStatusStore, client: Redis) -> None:
    """Live jobs without a lane are in it after a sweep, also where keys of lanes were lost; damaged ones are not."""
    await client.flushall()
    queued, begun = new_message(), new_message()
    for message in (queued, begun):
        await statuses.create(new_record(message))
    await statuses.begin(begun, Lease(begun.job_id, "m"))
    await client.hset("studio:job:damaged", mapping={"job_id": "damaged", "state": "queued", "message": "{"})
    await client.set("studio:job:no-record", "text")
    await client.zadd("studio:live", {"damaged": 0, "no-record": 0, "gone": 0})
    for message in (queued, begun):
        await client.hdel(f"studio:job:{message.job_id}", "lane", "queued_at")
    await client.delete(*[key async for key in client.scan_iter("studio:lanes")])
    await client.delete(*[key async for key in client.scan_iter("studio:waiting:*")])
    await client.delete(*[key async for key in client.scan_iter("studio:leased:*")])

    assert await statuses.lanes(10) == []
    found = await statuses.lanes(10)
    assert {job.job_id for lane in found for job in lane.jobs} == {queued.job_id}
    assert {job_id for lane in found for job_id in lane.leased} == {begun.job_id}


async def test_writes_renew_a_live_record(statuses: RedisStatusStore, client: Redis) -> None:
    """A job that is worked on is not forgotten, however long it takes."""
    message = new_message()
    lease = Lease(message.job_id, message.message_id)
    await statuses.create(new_record(message))
    await statuses.begin(message, lease)
    await client.expire(f"studio:job:{message.job_id}", 5)

    await statuses.progress(lease, Progress(step=1, total=2))

    assert await client.ttl(f"studio:job:{message.job_id}") > 3600


async def test_index_nobody_reads_does_not_grow(stack: Stack, client: Redis) -> None:
    """Jobs whose record has gone leave their owner's index as new ones come, though it is never listed."""
    owner = new_job_id()
    async with open_statuses_at(stack.statuses_url, Limits(retention_seconds=0.001)) as statuses:
        for _ in range(5):
            record = await statuses.create(new_record(new_message(owner=owner)))
            await statuses.request_cancel(record.job_id)
        async with asyncio.timeout(10):
            while await client.exists(f"studio:job:{record.job_id}"):
                await asyncio.sleep(0.01)
        last = await statuses.create(new_record(new_message(owner=owner)))

    assert [last.job_id] == await client.zrange(f"studio:owner:{owner}", 0, -1)


async def test_flushed_store_says_so(statuses: RedisStatusStore, client: Redis) -> None:
    """After FLUSHALL an older job is `status-rebuilding`; a young unknown one never existed."""
    record = await statuses.create(new_record(new_message()))
    await client.flushall()
    await asyncio.sleep(0.01)

    with pytest.raises(StatusRebuilding):
        await statuses.get(record.job_id)
    await asyncio.sleep(0.01)
    with pytest.raises(JobNotFound) as caught:
        await statuses.get(new_job_id())

    assert not isinstance(caught.value, StatusRebuilding)


async def test_restarted_redis_is_used_at_once(statuses: RedisStatusStore, stack: Stack) -> None:
    """Neither dead connections nor forgotten scripts show after a restart."""
    await statuses.create(new_record(new_message()))
    stack.redis.kill()
    with pytest.raises(BackendUnavailable):
        await statuses.create(new_record(new_message()))
    await asyncio.to_thread(stack.redis.start)

    record = await statuses.create(new_record(new_message()))

    assert record == await statuses.get(record.job_id)


async def test_canceled_call_leaves_no_reply_behind(statuses: RedisStatusStore, stack: Stack) -> None:
    """A call canceled while its reply is on the way never gives that reply to the next caller."""
    first = await statuses.create(new_record(new_message()))
    second = await statuses.create(new_record(new_message()))
    for _ in range(10):
        stack.redis.pause()
        call = asyncio.create_task(statuses.get(first.job_id))
        await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        stack.redis.resume()

        assert second == await statuses.get(second.job_id)


async def test_every_cancellation_is_heard(statuses: RedisStatusStore) -> None:
    """A task that calls the store in a loop ends when it is cancelled, whichever step of a call that meets."""
    record = await statuses.create(new_record(new_message()))

    async def forever() -> None:
        while True:
            await statuses.get(record.job_id)

    loops = []
    for hops in range(60):
        loops.append(asyncio.create_task(forever()))
        for _ in range(hops):
            await asyncio.sleep(0)
        loops[-1].cancel()
    await asyncio.wait(loops, timeout=1)
    deaf = [loop for loop in loops if not loop.done()]
    for loop in deaf:
        loop.cancel()

    assert deaf == []
    assert all(loop.cancelled() for loop in loops)


async def test_cleaning_up_may_call(statuses: RedisStatusStore) -> None:
    """A task that is being cancelled still gets its answers from the store."""
    record = await statuses.create(new_record(new_message()))

    async def clean_up() -> StatusRecord:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(3600)
        return await statuses.get(record.job_id)

    task = asyncio.create_task(clean_up())
    await asyncio.sleep(0)
    task.cancel()

    assert record == await task


async def test_answer_lost_on_the_way_is_given_again(statuses: RedisStatusStore) -> None:
    """A worker that loses the answer to `begin` or `finish` gets the same one when it asks again."""
    message = new_message()
    lease = Lease(message.job_id, message.message_id)
    await statuses.create(new_record(message))

    assert [await statuses.begin(message, lease) for _ in range(2)] == [Verdict.HELD] * 2
    assert [await statuses.finish(lease, DONE) for _ in range(2)] == [Verdict.HELD] * 2
    assert Verdict.LOST is await statuses.finish(lease, Outcome(State.FAILED))
    assert Verdict.LOST is await statuses.finish(Lease(message.job_id, message.message_id), DONE)


async def test_exhausted_stays_exhausted(stack: Stack) -> None:
    """A worker that asks twice about a job without attempts left is not given it the second time."""
    message = new_message()
    async with open_statuses_at(stack.statuses_url, Limits(max_attempts=1)) as statuses:
        await statuses.create(new_record(message))
        await statuses.begin(message, Lease(message.job_id, message.message_id))
        lease = await silent_lease_of(statuses, message)

        assert [await statuses.begin(message, lease) for _ in range(2)] == [Verdict.EXHAUSTED] * 2


async def test_many_callers_share_few_connections(statuses: RedisStatusStore) -> None:
    """More calls at once than there are connections wait for one instead of failing."""
    records = await asyncio.gather(*(statuses.create(new_record(new_message())) for _ in range(200)))

    assert records == await asyncio.gather(*(statuses.get(record.job_id) for record in records))


async def test_unreachable_redis_is_named_at_open() -> None:
    """Opening a store that is not there raises in time."""
    with pytest.raises(BackendUnavailable, match="statuses"):
        async with open_statuses_at("redis://127.0.0.1:1/0", Limits()):
            pass


async def test_hung_redis_does_not_hold_up_the_cache(stack: Stack) -> None:
    """While Redis is suspended a call of the cache gives up within a second; it works again afterwards."""
    async with open_cache_at(stack.statuses_url) as cache:
        await cache.put("workers/a", b"1", 60)
        stack.redis.pause()
        try:
            started = time.monotonic()
            with pytest.raises(BackendUnavailable):
                await cache.get("workers/a")
            assert time.monotonic() - started < 1
        finally:
            stack.redis.resume()
        assert await cache.get("workers/a") == b"1"


async def test_folder_lasts_as_long_as_what_is_in_it(stack: Stack, client: Redis) -> None:
    """No key of the cache stays for ever, and a folder is there for the value that lasts longest."""
    await client.flushall()
    async with open_cache_at(stack.statuses_url) as cache:
        for name, seconds in (("a", 50), ("b", 500), ("c", 5)):
            await cache.put(f"workers/{name}", b"1", seconds)
    times = {key: await client.ttl(key) async for key in client.scan_iter()}
    assert len(times) == 4
    assert all(seconds > 0 for seconds in times.values())
    assert times["studio:folder:workers"] > 490


async def test_record_nobody_can_read(statuses: RedisStatusStore, client: Redis) -> None:
    """A record that another version wrote is left out of lists, which are as long as they were asked to be."""
    odd, *others = [(await statuses.create(new_record(new_message(owner="odd")))).job_id for _ in range(4)]
    await client.hset(f"studio:job:{others[2]}", "state", "asleep")
    readable = [odd, *others[:2]][::-1]
    assert [record.job_id for record in await statuses.list(limit=2, owner="odd")] == readable[:2]
    assert [record.job_id for record in await statuses.list(limit=9, owner="odd")] == readable
    with pytest.raises(BackendUnavailable):
        await statuses.get(others[2])


async def test_removal_leaves_nothing(statuses: RedisStatusStore, client: Redis) -> None:
    """A removed job's id is in no index any more, its owner's included."""
    record = await statuses.create(new_record(new_message(owner="leaver"), key="k"))
    await statuses.remove(record.job_id)
    assert [key async for key in client.scan_iter("*leaver*")] == []
    assert await client.zscore("studio:live", record.job_id) is None


async def test_odd_entries_stop_no_listing(statuses: RedisStatusStore, client: Redis) -> None:
    """A key of another kind in a record's place, or a record that is no text, keeps no other from being listed."""
    jobs = [await statuses.create(new_record(new_message(owner="key:odd"))) for _ in range(5)]
    first, other_kind, no_text, without_id, last = jobs
    await client.delete(f"studio:job:{other_kind.job_id}")
    await client.set(f"studio:job:{other_kind.job_id}", "a note")
    await client.hset(f"studio:job:{no_text.job_id}", "message", b"\xff")
    await client.hdel(f"studio:job:{without_id.job_id}", "job_id")
    try:
        assert await statuses.list(limit=2, owner="key:odd") == [last, first]
        live = [record.job_id for record in await statuses.list()]
        assert [job.job_id for job in jobs if job.job_id in live] == [first.job_id, last.job_id]
        with pytest.raises(BackendUnavailable):
            await statuses.get(no_text.job_id)
    finally:
        await client.delete(*(f"studio:job:{job.job_id}" for job in jobs))
