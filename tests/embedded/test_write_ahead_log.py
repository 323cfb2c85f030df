"""The write-ahead log of an embedded backend stays short, and a disk that it fills recovers by itself."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from services.common.errors import BackendUnavailable
from services.common.ports import Limits
from services.common.sqlite import write_ahead_log
from services.common.sqlite.file import SQLiteFile, open_sqlite
from services.common.sqlite.write_ahead_log import LONG_BYTES, RESERVED_BYTES
from services.common.statuses.sqlite import open_sqlite_status_store
from tests.support.messages import new_message, new_record

pytestmark = pytest.mark.anyio

SCHEMA = ("CREATE TABLE IF NOT EXISTS texts (place INTEGER PRIMARY KEY, text TEXT)",)
ROW_BYTES = 100_000


class Disk:
    """A disk of so many bytes, for the files of one folder."""

    def __init__(self, folder: Path, size: int) -> None:
        self.size = size
        self._folder = folder

    @property
    def free(self) -> int:
        return self.size - sum(file.stat().st_size for file in self._folder.iterdir())

    def statvfs(self, _folder: str) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=self.free, f_frsize=1)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    made = Disk(tmp_path, 6 << 20)
    monkeypatch.setattr(os, "statvfs", made.statvfs)
    return made


@pytest.fixture
async def file(tmp_path: Path) -> AsyncIterator[SQLiteFile]:
    async with open_sqlite(tmp_path / "studio.db", "statuses", SCHEMA) as opened:
        yield opened


@contextmanager
def reader(folder: Path) -> Iterator[None]:
    """Another program reads the file as it is now, until the end of the block."""
    with closing(sqlite3.connect(folder / "studio.db", isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM texts").fetchone()
        yield


async def write(file: SQLiteFile, times: int = 1) -> None:
    """Write over the one row that there is."""
    for _ in range(times):
        await file.write(_write_over)


def _write_over(connection: sqlite3.Connection) -> None:
    connection.execute("INSERT OR REPLACE INTO texts VALUES (1, ?)", (os.urandom(ROW_BYTES // 2).hex(),))


def log_bytes(folder: Path) -> int:
    return (folder / "studio.db-wal").stat().st_size


async def test_long_reader_keeps_the_log_only_while_it_reads(file: SQLiteFile, tmp_path: Path) -> None:
    """A log that grew because of a reader is cut by a write soon after it has gone."""
    await write(file)
    with reader(tmp_path):
        while log_bytes(tmp_path) < 2 * LONG_BYTES:
            await write(file)
    async with asyncio.timeout(10):
        while log_bytes(tmp_path) >= LONG_BYTES:
            await write(file)


async def test_log_has_an_end(file: SQLiteFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a reader that stays, nothing is written any more once the log is very long; what is there is read."""
    monkeypatch.setattr(write_ahead_log, "MOST_BYTES", 2 * LONG_BYTES)
    await write(file)
    with reader(tmp_path):
        with pytest.raises(BackendUnavailable) as caught:
            await write(file, 200)
        assert "lsof" in (caught.value.cure or "")
        assert log_bytes(tmp_path) < 2 * LONG_BYTES + 3 * ROW_BYTES
        count = await file.read(lambda connection: connection.execute("SELECT count(*) FROM texts").fetchone())
        assert count == (1,)
    await write(file)


async def test_log_leaves_room_to_be_emptied(file: SQLiteFile, tmp_path: Path, disk: Disk) -> None:
    """On a small disk writes are refused before the log has filled it, and taken again once the reader has gone."""
    await write(file)
    with reader(tmp_path):
        with pytest.raises(BackendUnavailable):
            await write(file, 200)
        with pytest.raises(BackendUnavailable):
            await file.ping()
        assert RESERVED_BYTES - 3 * ROW_BYTES < disk.free < 2 * RESERVED_BYTES
    await file.ping()
    await write(file, 200)

    assert disk.free > RESERVED_BYTES


async def test_full_disk_recovers(file: SQLiteFile, tmp_path: Path, disk: Disk) -> None:
    """While other files fill the disk nothing is written, and all goes on as soon as they have gone."""
    await write(file)
    (tmp_path / "other").write_bytes(bytes(disk.free))
    with pytest.raises(BackendUnavailable):
        await write(file)
    (tmp_path / "other").unlink()
    await write(file)


async def test_tiny_disk_takes_many_jobs(tmp_path: Path, disk: Disk) -> None:
    """On a disk of 2 MB records are created and removed for long: the log does not add to what is kept."""
    disk.size = 2 << 20
    async with open_sqlite_status_store(tmp_path / "studio.db", Limits()) as statuses:
        for _ in range(1000):
            record = await statuses.create(new_record(new_message()))
            await statuses.remove(record.job_id)
            assert disk.free > 0
