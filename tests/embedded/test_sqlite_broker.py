"""What only the embedded broker has: leases, its queue limit, wake-ups between processes, and kill -9."""

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import pytest

from services.common.brokers.sqlite import SQLiteBroker, open_sqlite_broker
from services.common.errors import QueueFull
from services.common.ports import Broker, Settlement
from tests.contracts.deliveries import PATIENCE_SECONDS, publish, receive
from tests.services.messages import new_message

pytestmark = pytest.mark.anyio

MODEL = "model"
LEASE_SECONDS = 0.6

PROGRAM = """
import asyncio, os, signal, sys
from contextlib import aclosing
from pathlib import Path
from services.common.brokers.sqlite import open_sqlite_broker
from tests.contracts.deliveries import publish

async def main():
    async with open_sqlite_broker(Path(sys.argv[1]), queue_limit=100, lease_seconds=1) as broker:
        print(*await publish(broker, "model", 3))
        async with aclosing(broker.consume("model", 1)) as deliveries:
            print((await anext(deliveries)).message_id, flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "studio.db"


@pytest.fixture
async def broker(file: Path) -> AsyncIterator[SQLiteBroker]:
    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as opened:
        yield opened


async def run_killed_program(file: Path) -> tuple[int, list[str]]:
    """Its process id, and the message ids it printed: three published, one taken in hand."""
    root = Path(__file__).resolve().parents[2]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(file), cwd=root, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == -signal.SIGKILL
    return process.pid, output.decode().split()


async def test_messages_survive_kill_9(file: Path) -> None:
    """After SIGKILL everything published is delivered, what was in hand when its lease ran out, in its old place."""
    _, [*published, in_hand] = await run_killed_program(file)
    assert published[0] == in_hand

    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as broker:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while await broker.depth(MODEL) < 3:
                await asyncio.sleep(0.05)
        received = await receive(broker, MODEL, 3)

    assert [(each.message_id, each.deliveries) for each in received] == [
        (published[0], 1),
        (published[1], 0),
        (published[2], 0),
    ]


async def test_socket_of_a_killed_consumer_is_removed(file: Path, broker: SQLiteBroker) -> None:
    """The first publish after a consumer was killed removes the socket it left behind."""
    process_id, _ = await run_killed_program(file)
    left_behind = f"studio-*/{process_id}-*.sock"
    assert list(Path(tempfile.gettempdir()).glob(left_behind))

    await broker.publish(new_message("other"))

    assert not list(Path(tempfile.gettempdir()).glob(left_behind))


async def test_closed_consumer_leaves_no_socket(file: Path) -> None:
    """A broker that consumed and was closed leaves nothing in the folder of temporary files."""
    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as broker:
        await publish(broker, MODEL, 1)
        await receive(broker, MODEL, 1)
        sockets = list(Path(tempfile.gettempdir()).glob(f"studio-*/{os.getpid()}-*.sock"))
        assert sockets

    assert not [socket for socket in sockets if socket.exists() or socket.parent.exists()]


async def test_idle_consumer_is_woken(broker: SQLiteBroker, file: Path) -> None:
    """A message published elsewhere reaches a waiting consumer much sooner than its poll would find it."""
    count = 20
    receiving = asyncio.create_task(receive(broker, MODEL, count))
    started = time.monotonic()
    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as elsewhere:
        for _ in range(count):
            await publish(elsewhere, MODEL, 1)
            async with asyncio.timeout(PATIENCE_SECONDS):
                while await _length(elsewhere):
                    await asyncio.sleep(0.005)
    await receiving

    assert time.monotonic() - started < count * 0.25 / 2  # the poll alone takes 0.25 s a message


async def test_consumer_polls_without_wake_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no socket can be bound, a waiting consumer finds a message all the same."""
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as broker:
        receiving = asyncio.create_task(receive(broker, MODEL, 1))
        await asyncio.sleep(0.1)
        [message_id] = await publish(broker, MODEL, 1)
        assert [message_id] == [delivery.message_id for delivery in await receiving]


async def test_lease_is_renewed_while_the_broker_lives(broker: SQLiteBroker, file: Path) -> None:
    """A delivery handled for longer than a lease lasts is given to nobody else."""
    await publish(broker, MODEL, 1)
    async with aclosing(broker.consume(MODEL, 1)) as deliveries, await anext(deliveries):
        async with open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as elsewhere:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(LEASE_SECONDS * 2.5):
                    await receive(elsewhere, MODEL, 1)

    assert await _length(broker) == 0


async def test_lost_lease_settles_to_nothing(broker: SQLiteBroker, file: Path) -> None:
    """Whoever was too slow to renew its lease cannot ack the message that another consumer holds by then."""
    [message_id] = await publish(broker, MODEL, 1)
    async with aclosing(broker.consume(MODEL, 1)) as deliveries:
        slow = await anext(deliveries)
        time.sleep(LEASE_SECONDS * 1.5)  # noqa: ASYNC251 - the event loop is what is too slow here
        async with open_sqlite_broker(file, queue_limit=3, lease_seconds=60) as elsewhere:
            async with aclosing(elsewhere.consume(MODEL, 1)) as others:
                taken = await anext(others)
            for settlement in (Settlement.ACK, Settlement.REJECT, Settlement.REQUEUE):
                await slow.settle(settlement)
            assert await elsewhere.dead_letters() == []
            await taken.settle(Settlement.REQUEUE)
            assert (taken.message_id, taken.deliveries) == (message_id, 1)
            assert await elsewhere.depth(MODEL) == 1


async def test_queued_message_is_queued_once(broker: SQLiteBroker) -> None:
    """Publishing a message id again, even to a full queue or while it is in hand, is accepted and changes nothing."""
    messages = [new_message(MODEL) for _ in range(3)]
    for message in messages:
        await broker.publish(message)
    for message in messages:
        await broker.publish(message)
    assert await broker.depth(MODEL) == 3

    async with aclosing(broker.consume(MODEL, 1)) as deliveries, await anext(deliveries):
        await broker.publish(messages[0])
    assert [each.message_id for each in await receive(broker, MODEL, 2)] == [each.message_id for each in messages[1:]]
    assert await _length(broker) == 0


async def test_full_queue_refuses(broker: SQLiteBroker) -> None:
    """At its limit of ready messages a model's queue refuses, drops nothing, and takes more when there is room."""
    published = await publish(broker, MODEL, 3)
    with pytest.raises(QueueFull):
        await broker.publish(new_message(MODEL))
    await publish(broker, "other", 1)

    async with aclosing(broker.consume(MODEL, 1)) as deliveries, await anext(deliveries):
        published += await publish(broker, MODEL, 1)

    assert published[1:] == [delivery.message_id for delivery in await receive(broker, MODEL, 3)]


async def _length(broker: Broker) -> int:
    """Ready messages. Those in hand come back only when their lease is over, so zero twice in a row is none."""
    return await broker.depth(MODEL)
