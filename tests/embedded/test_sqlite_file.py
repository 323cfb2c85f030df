"""The embedded backends cope with a file that is locked, unusable, or made by several processes at once."""

import asyncio
import sqlite3
import sys
import time
from contextlib import AsyncExitStack, closing
from pathlib import Path

import pytest

from services.common.brokers.sqlite import open_sqlite_broker
from services.common.caches.sqlite import open_sqlite_cache
from services.common.errors import BackendRefused, BackendUnavailable, PublishUnconfirmed
from services.common.ports import Limits
from services.common.statuses.sqlite import open_sqlite_status_store
from tests.support.messages import new_message, new_record

pytestmark = pytest.mark.anyio

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import asyncio, sys
from pathlib import Path
from services.common.ports import Limits
from services.common.statuses.sqlite import open_sqlite_status_store
from tests.support.messages import new_message, new_record

async def main():
    sys.stdin.readline()
    async with open_sqlite_status_store(Path(sys.argv[1]), Limits()) as statuses:
        for _ in range(20):
            await statuses.create(new_record(new_message()))

asyncio.run(main())
"""


async def test_locked_file_is_answered_in_time(tmp_path: Path) -> None:
    """While another process holds the file, writes raise instead of hanging; then all is well again."""
    file, message = tmp_path / "studio.db", new_message()
    async with AsyncExitStack() as stack:
        broker = await stack.enter_async_context(open_sqlite_broker(file, queue_limit=9, lease_seconds=10))
        statuses = await stack.enter_async_context(open_sqlite_status_store(file, Limits()))
        record = await statuses.create(new_record(message))
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        try:
            started = time.monotonic()
            published, created = await asyncio.gather(
                broker.publish(message), statuses.create(new_record(new_message())), return_exceptions=True
            )
            assert time.monotonic() - started < 3.5
            assert await statuses.get(record.job_id) == record  # reading needs no lock
        finally:
            holder.close()

        assert isinstance(published, PublishUnconfirmed)
        assert isinstance(created, BackendUnavailable)
        await broker.publish(message)
        assert await broker.depth(message.model) == 1
        assert await statuses.list() == [record]


async def test_consumer_outlasts_a_locked_file(tmp_path: Path) -> None:
    """A consumer that could not reach the queue for a while delivers when it can again."""
    file, message = tmp_path / "studio.db", new_message()
    async with open_sqlite_broker(file, queue_limit=9, lease_seconds=10) as broker:
        await broker.publish(message)
        holder = sqlite3.connect(file, isolation_level=None)
        holder.execute("BEGIN EXCLUSIVE")
        deliveries = broker.consume(message.model, 1)
        pulling = asyncio.ensure_future(anext(deliveries))
        await asyncio.wait((pulling,), timeout=2.6)
        assert not pulling.done()
        holder.close()

        async with await asyncio.wait_for(pulling, 10):
            pass
        await deliveries.aclose()
        assert await broker.depth(message.model) == 0


async def test_closed_store_is_unavailable(tmp_path: Path) -> None:
    """A store used after it was closed says so instead of waiting."""
    async with open_sqlite_status_store(tmp_path / "studio.db", Limits()) as statuses:
        pass

    with pytest.raises(BackendUnavailable, match="closed"):
        await statuses.list()


async def test_unusable_file_is_named_at_open(tmp_path: Path) -> None:
    """Opening a path that is no database, or no file, raises BackendUnavailable."""
    (tmp_path / "text.db").write_text("no database" * 100)
    for path in (tmp_path, tmp_path / "text.db", tmp_path / "text.db" / "studio.db"):
        with pytest.raises(BackendUnavailable, match="broker"):
            async with open_sqlite_broker(path, queue_limit=9, lease_seconds=10):
                pass


async def test_processes_make_and_fill_one_file_at_once(tmp_path: Path) -> None:
    """Several processes that open a new file in the same moment all get it, and lose nothing of each other."""
    file = tmp_path / "studio.db"
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", PROGRAM, str(file), cwd=ROOT, stdin=asyncio.subprocess.PIPE
        )
        for _ in range(4)
    ]
    await asyncio.sleep(1)
    await asyncio.gather(*(process.communicate(b"go\n") for process in processes))

    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    async with open_sqlite_status_store(file, Limits()) as statuses:
        assert len(await statuses.list(limit=1000)) == 80


async def test_forgotten_records_leave_the_file(tmp_path: Path) -> None:
    """A record past its retention is not only hidden: the next job that is created deletes it."""
    file = tmp_path / "studio.db"
    async with open_sqlite_status_store(file, Limits(retention_seconds=0.1)) as statuses:
        ended = await statuses.create(new_record(new_message()))
        await statuses.request_cancel(ended.job_id)
        await asyncio.sleep(0.15)
        live = await statuses.create(new_record(new_message()))

    with closing(sqlite3.connect(file)) as reader:
        assert reader.execute("SELECT job_id FROM statuses").fetchall() == [(live.job_id,)]


async def test_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    """A damaged cache file is made anew, since its content may be lost at any moment."""
    file = tmp_path / "studio.cache.db"
    file.write_bytes(b"no database at all " * 100)
    async with open_sqlite_cache(file) as cache:
        await cache.put("folder/key", b"value", 60)
        assert await cache.get("folder/key") == b"value"


@pytest.mark.parametrize("how", ["replaced", "moved away"])
async def test_another_file_at_the_path_is_not_written(tmp_path: Path, how: str) -> None:
    """While another file lies at the path, or none, nothing is written to either, and the cure is told."""
    file, other, away = tmp_path / "studio.db", tmp_path / "restored.db", tmp_path / "away.db"
    async with open_sqlite_status_store(other, Limits()) as restored:
        await restored.create(new_record(new_message()))
    content = other.read_bytes()
    async with open_sqlite_status_store(file, Limits()) as statuses:
        record = await statuses.create(new_record(new_message()))
        file.rename(away)
        if how == "replaced":
            other.rename(file)
        for call in (statuses.ping(), statuses.create(new_record(new_message()))):
            with pytest.raises(BackendRefused, match="moved, replaced or deleted") as caught:
                await call
            assert f"{file}-wal" in caught.value.cure
        if how == "replaced":
            assert file.read_bytes() == content
        else:
            assert not file.exists()
        away.replace(file)
        await statuses.ping()
        assert await statuses.list() == [record]


async def test_connection_that_only_reads_is_left(tmp_path: Path) -> None:
    """After an error that a new connection does not have, the next call has a new connection."""
    async with open_sqlite_status_store(tmp_path / "studio.db", Limits()) as statuses:
        await statuses._file.read(lambda connection: connection.execute("PRAGMA query_only=1").fetchall())
        with pytest.raises(BackendRefused) as caught:
            await statuses.ping()
        assert f"ls -ld {tmp_path / 'studio.db'}" in caught.value.cure
        await statuses.ping()
        await statuses.create(new_record(new_message()))


async def test_full_disk_is_told(tmp_path: Path) -> None:
    """A database that cannot grow says so, and how to look for room; what is there can be read."""
    async with open_sqlite_status_store(tmp_path / "studio.db", Limits()) as statuses:
        record = await statuses.create(new_record(new_message()))
        await statuses._file.read(lambda connection: connection.execute("PRAGMA max_page_count=1").fetchall())

        async def fill() -> None:
            for _ in range(100):
                await statuses.create(new_record(new_message()))

        with pytest.raises(BackendUnavailable, match="full") as caught:
            await fill()
        assert "df -h" in caught.value.cure
        assert await statuses.get(record.job_id) == record


@pytest.mark.parametrize("junk", [b"no database at all " * 300, b"SQLite format 3\0" + b"\xff" * 5000])
async def test_damaged_file_has_its_cure(tmp_path: Path, junk: bytes) -> None:
    """A file that is no database, or a damaged one, is refused with what can be done about it."""
    file = tmp_path / "studio.db"
    file.write_bytes(junk)
    with pytest.raises(BackendRefused) as caught:
        async with open_sqlite_status_store(file, Limits()):
            pass
    assert "backup" in caught.value.cure
    assert file.read_bytes() == junk


async def test_locked_file_is_not_ready(tmp_path: Path) -> None:
    """While another program holds the lock, what reads works and readiness, which writes, fails."""
    file = tmp_path / "studio.db"
    async with open_sqlite_status_store(file, Limits()) as statuses:
        with closing(sqlite3.connect(file, isolation_level=None)) as holder:
            holder.execute("BEGIN IMMEDIATE")
            assert await statuses.list() == []
            with pytest.raises(BackendUnavailable):
                await statuses.ping()
        await statuses.ping()
