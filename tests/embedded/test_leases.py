"""Leases of the embedded broker's deliveries: renewed while it lives, lost when it is too slow, given back unused."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from pathlib import Path
from threading import Event, Thread

import pytest

from services.common.brokers.delivery import Settlement
from services.common.brokers.sqlite import SQLiteBroker, open_sqlite_broker
from services.common.caches.sqlite import open_sqlite_cache
from services.common.ports import Lease, Limits, Verdict
from services.common.sqlite import clock as sqlite_clock
from services.common.statuses.sqlite import open_sqlite_status_store
from tests.support.deliveries import DEADLINE_SECONDS, publish, receive
from tests.support.messages import new_message, new_record
from tests.support.wall_clock import wall_clock

pytestmark = pytest.mark.anyio

MODEL = "model"
LEASE_SECONDS = 0.6


class OtherConsumer(Thread):
    """A consumer with its own event loop: it takes one message, holds it until told to leave, and requeues it."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.holding, self.leave = Event(), Event()
        self._file = file

    def run(self) -> None:
        asyncio.run(self._hold())

    async def _hold(self) -> None:
        async with (
            open_sqlite_broker(self._file, queue_limit=3, lease_seconds=60) as broker,
            aclosing(broker.consume(MODEL, 1)) as deliveries,
            asyncio.timeout(DEADLINE_SECONDS),
        ):
            delivery = await anext(deliveries)
            self.holding.set()
            await asyncio.to_thread(self.leave.wait, DEADLINE_SECONDS)
            await delivery.settle(Settlement.REQUEUE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "studio.db"


@pytest.fixture
async def broker(file: Path) -> AsyncIterator[SQLiteBroker]:
    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as opened:
        yield opened


async def test_lease_is_renewed_while_the_broker_lives(broker: SQLiteBroker, file: Path) -> None:
    """A delivery handled for longer than a lease lasts is given to no other consumer."""
    await publish(broker, MODEL, 1)
    async with (
        aclosing(broker.consume(MODEL, 1)) as deliveries,
        await anext(deliveries),
        open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as elsewhere,
    ):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(LEASE_SECONDS * 2.5):
                await receive(elsewhere, MODEL, 1)

    assert await broker.depth(MODEL) == 0


@pytest.mark.parametrize("settlement", Settlement)
async def test_lost_lease_settles_to_nothing(file: Path, settlement: Settlement) -> None:
    """A consumer too slow to renew its lease cannot settle the message that another consumer holds by then."""
    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=0.2) as broker:
        [message_id] = await publish(broker, MODEL, 1)
        async with aclosing(broker.consume(MODEL, 1)) as deliveries:
            slow = await anext(deliveries)
        other = OtherConsumer(file)
        other.start()
        other.holding.wait(DEADLINE_SECONDS)  # blocks the event loop, which is what is too slow here

        await slow.settle(settlement)

        assert await broker.depth(MODEL) == 0
        assert await broker.dead_letters() == []
        other.leave.set()
        await asyncio.to_thread(other.join)
        [again] = await receive(broker, MODEL, 1)
        assert (again.message_id, again.deliveries) == (message_id, 2)


async def test_cancelled_claim_is_given_back(file: Path) -> None:
    """A message claimed for a consumer that was cancelled meanwhile is ready at once, as if never delivered."""
    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=60) as broker:
        [message_id] = await publish(broker, MODEL, 1)
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")  # so the claim waits in its thread
        pulling = asyncio.ensure_future(anext(broker.consume(MODEL, 1)))
        await asyncio.sleep(0.1)
        pulling.cancel()
        holder.close()
        await asyncio.wait((pulling,))

        assert pulling.cancelled()
        [delivery] = await receive(broker, MODEL, 1)
        assert (delivery.message_id, delivery.deliveries) == (message_id, 0)


@pytest.mark.parametrize("step", [-600.0, 600.0])
async def test_message_of_a_dead_worker_comes_in_time(file: Path, monkeypatch: pytest.MonkeyPatch, step: float) -> None:
    """A lease runs out in its own time when the clock was set meanwhile, and not before."""
    clock = wall_clock(monkeypatch)
    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=60) as broker:
        await publish(broker, MODEL, 1)
        async with aclosing(broker.consume(MODEL, 1)) as deliveries:
            await anext(deliveries)
            _end_in(file, 2.0)
            clock.ahead += step
            assert await broker.depth(MODEL) == 0
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await broker.depth(MODEL) == 0:
                    await asyncio.sleep(0.05)


async def test_records_of_an_earlier_version_get_their_lane(file: Path) -> None:
    """Live jobs of a file whose last program kept no lanes are in them when it is opened, and ended ones are not."""
    live, ended = new_message(MODEL), new_message(MODEL)
    async with open_sqlite_status_store(file, Limits()) as statuses:
        for message in (live, ended):
            await statuses.create(new_record(message))
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("DELETE FROM live WHERE job_id = ?", (live.job_id,))
        connection.execute("UPDATE statuses SET forget_at = 1e12 WHERE job_id = ?", (ended.job_id,))

    async with open_sqlite_status_store(file, Limits()) as statuses:
        [lane] = await statuses.lanes(10)
        assert [job.job_id for job in lane.jobs] == [live.job_id]


async def test_leases_end_with_the_machine(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart of the machine no process holds a message or a job, whatever its clocks say then."""
    clock = wall_clock(monkeypatch)
    message = new_message(MODEL)
    async with (
        open_sqlite_broker(file, queue_limit=3, lease_seconds=600) as broker,
        open_sqlite_status_store(file, Limits(lease_seconds=600)) as statuses,
        open_sqlite_cache(file.with_suffix(".cache.db")) as cache,
    ):
        await broker.publish(message)
        await statuses.create(new_record(message))
        await statuses.begin(message, Lease(message.job_id, message.message_id))
        await cache.put("workers/a", b"1", 600)
        async with aclosing(broker.consume(MODEL, 1)) as deliveries:
            await anext(deliveries)
            clock.ahead -= 3600  # as on a machine whose clock has no battery
            monkeypatch.setattr(sqlite_clock, "boot_id", lambda: "another start of the machine")
            async with (
                open_sqlite_broker(file, queue_limit=3, lease_seconds=600) as after,
                open_sqlite_status_store(file, Limits(lease_seconds=600)) as records,
                open_sqlite_cache(file.with_suffix(".cache.db")) as values,
            ):
                assert await after.depth(MODEL) == 1
                other = message.model_copy(update={"message_id": "another"})
                assert [lane.leased for lane in await records.lanes(10)] == [frozenset()]
                assert await records.begin(other, Lease(message.job_id, "another")) is Verdict.BUSY, "it may be watched"
                assert (await records.get(message.job_id)).message == message
                assert await values.get("workers/a") is None


def _end_in(file: Path, seconds: float) -> None:
    """Shorten the leases, which their broker renews only after a third of a minute."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(
            "UPDATE messages SET leased_until = leased_until - ? WHERE leased_until > 0", (60 - seconds,)
        )
