"""The embedded broker alone has a queue limit of its own, wake-ups between processes, and leases after kill -9."""

import asyncio
import os
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, closing
from pathlib import Path

import pytest

from services.common.brokers.sqlite import SQLiteBroker, open_sqlite_broker
from services.common.brokers.wakeup import Wakeup
from services.common.errors import QueueFull
from tests.support.deliveries import DEADLINE_SECONDS, publish, receive, reject
from tests.support.messages import new_message

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
MODEL = "model"
LEASE_SECONDS = 0.6

PROGRAM = """
import asyncio, os, signal, sys
from contextlib import aclosing
from pathlib import Path
from services.common.brokers.sqlite import open_sqlite_broker
from tests.support.deliveries import publish

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


def sockets_of(file: Path, process_id: int) -> list[Path]:
    """Return the sockets in this queue's folder: an earlier process of that number may have left others elsewhere."""
    return list(Wakeup(file)._folder.glob(f"{process_id}-*.sock"))


async def run_killed_program(file: Path) -> tuple[int, list[str]]:
    """Run a program and kill it; return its process id and the message ids it printed: three published, one held."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, str(file), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == -signal.SIGKILL
    return process.pid, output.decode().split()


async def test_messages_survive_kill_9(file: Path) -> None:
    """After SIGKILL everything published is delivered; a held message comes in its old place once its lease ran out."""
    _, [*published, in_hand] = await run_killed_program(file)
    assert published[0] == in_hand

    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as broker:
        async with asyncio.timeout(DEADLINE_SECONDS):
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
    assert sockets_of(file, process_id)

    await broker.publish(new_message("other"))

    assert not sockets_of(file, process_id)


async def test_closed_consumer_leaves_no_socket(file: Path) -> None:
    """A broker that consumed and was closed leaves nothing in the folder of temporary files."""
    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as broker:
        await publish(broker, MODEL, 1)
        await receive(broker, MODEL, 1)
        sockets = sockets_of(file, os.getpid())
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
            async with asyncio.timeout(DEADLINE_SECONDS):
                while await elsewhere.depth(MODEL):
                    await asyncio.sleep(0.005)
    await receiving

    assert time.monotonic() - started < count * 0.25 / 2  # the poll alone takes 0.25 s a message


async def test_consumer_polls_without_wake_up(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer without a socket still finds a message, by polling."""
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    async with open_sqlite_broker(file, queue_limit=3, lease_seconds=LEASE_SECONDS) as broker:
        receiving = asyncio.create_task(receive(broker, MODEL, 1))
        await asyncio.sleep(0.1)
        [message_id] = await publish(broker, MODEL, 1)
        assert [message_id] == [delivery.message_id for delivery in await receiving]


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
    assert await broker.depth(MODEL) == 0


async def test_full_queue_refuses(broker: SQLiteBroker) -> None:
    """At its limit of ready messages a model's queue refuses, drops nothing, and takes more when there is room."""
    published = await publish(broker, MODEL, 3)
    with pytest.raises(QueueFull):
        await broker.publish(new_message(MODEL))
    await publish(broker, "other", 1)

    async with aclosing(broker.consume(MODEL, 1)) as deliveries, await anext(deliveries):
        published += await publish(broker, MODEL, 1)

    assert published[1:] == [delivery.message_id for delivery in await receive(broker, MODEL, 3)]


async def test_headers_go_with_their_message(broker: SQLiteBroker, file: Path) -> None:
    """Nothing is left of the headers of a message that was acked, or put to the dead letters."""
    for _ in range(2):
        await broker.publish(new_message(MODEL), {"traceparent": "some"})
    await receive(broker, MODEL, 1)
    await reject(broker, MODEL, 1)
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT count(*) FROM headers").fetchone() == (0,)


async def test_claimed_together_and_not_handed_out(file: Path) -> None:
    """A consumer takes several messages at once; when it closes, those it has not handed out were never delivered."""
    async with open_sqlite_broker(file, queue_limit=10, lease_seconds=LEASE_SECONDS) as broker:
        first, *rest = await publish(broker, MODEL, 3)
        async with aclosing(broker.consume(MODEL, 3)) as deliveries:
            held = await anext(deliveries)
            assert await broker.depth(MODEL) == 0
        assert await broker.depth(MODEL) == len(rest)
        again = await receive(broker, MODEL, 2)
        async with held:
            pass

    assert held.message_id == first
    assert [(each.message_id, each.deliveries) for each in again] == [(message_id, 0) for message_id in rest]


async def test_burst_is_shared(file: Path) -> None:
    """A consumer with room for many messages leaves some for one that asks right after it."""
    async with open_sqlite_broker(file, queue_limit=10, lease_seconds=LEASE_SECONDS) as broker:
        await publish(broker, MODEL, 8)
        async with aclosing(broker.consume(MODEL, 8)) as one, aclosing(broker.consume(MODEL, 8)) as other:
            await anext(one)
            await anext(other)
            assert await broker.depth(MODEL) == 0
            mine = [await anext(one) for _ in range(3)]
            others = [await anext(other) for _ in range(3)]
    assert len({each.message_id for each in mine + others}) == 6
