"""The embedded status store: an SQLite file that the gateway's process and the workers' share.

Every transition reads, decides (`transitions`) and writes inside one transaction. It decides by the time of day; only
the end of a lease is kept by a clock that setting the time does not change.
"""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NoReturn

from services.common.background import background_task
from services.common.errors import BackendUnavailable, TooManyJobs
from services.common.ports import Lease, Limits, Outcome, Quota, Verdict
from services.common.schemas import JobMessage, Progress, StatusRecord
from services.common.sqlite.clock import SQLiteClock
from services.common.sqlite.file import SQLiteFile, open_sqlite
from services.common.statuses import sqlite_lanes, sqlite_records, transitions
from services.common.statuses.lane import Lane
from services.common.statuses.leases import lease_moved
from services.common.statuses.retention import absent
from services.common.statuses.transitions import Decision, StoredRecord
from services.common.statuses.waiters import Waiters

WATCH_SECONDS: Final = 0.02

Change = Callable[[StoredRecord | None], Decision]


class SQLiteStatusStore:
    """See the port `StatusStore`. Opened by `open_sqlite_status_store`."""

    def __init__(self, file: SQLiteFile, clock: SQLiteClock, limits: Limits, waiters: Waiters) -> None:
        self._file = file
        self._clock = clock
        self._limits = limits
        self._waiters = waiters

    async def create(self, record: StatusRecord, quota: Quota | None = None) -> StatusRecord:
        return await self._file.write(partial(self._create, record, quota))

    async def get(self, job_id: str, wait: float = 0) -> StatusRecord:
        return await self._waiters.until_ended(job_id, wait, lambda: self._get(job_id))

    async def begin(self, message: JobMessage, lease: Lease, *, recreate: bool = False) -> Verdict:
        def change(stored: StoredRecord | None) -> Decision:
            now = time.time()
            return transitions.begin(stored, message, lease, self._limits, recreate=recreate, now=now)

        def work(connection: sqlite3.Connection) -> Verdict:
            verdict = self._change(message.job_id, change, connection)
            if verdict.gives_lease:
                sqlite_lanes.begun(message.job_id, connection)
            return verdict

        return await self._file.write(work)

    async def progress(self, lease: Lease, progress: Progress) -> Verdict:
        def change(stored: StoredRecord | None) -> Decision:
            return transitions.progress(stored, lease, progress, self._limits, time.time())

        return await self._file.write(partial(self._change, lease.job_id, change))

    async def finish(self, lease: Lease, outcome: Outcome) -> Verdict:
        def change(stored: StoredRecord | None) -> Decision:
            return transitions.finish(stored, lease, outcome, time.time())

        def work(connection: sqlite3.Connection) -> Verdict:
            verdict = self._change(lease.job_id, change, connection)
            if verdict is Verdict.HELD and outcome.release_key:
                sqlite_records.forget_key(lease.job_id, connection)
            return verdict

        return await self._file.write(work)

    async def request_cancel(self, job_id: str) -> StatusRecord:
        def work(connection: sqlite3.Connection) -> StatusRecord:
            before = self._known(job_id, connection)
            after = transitions.request_cancel(before, time.time())
            return self._replace(before, after, connection).record

        return await self._file.write(work)

    async def remove(self, job_id: str) -> None:
        def work(connection: sqlite3.Connection) -> None:
            sqlite_records.forget(job_id, connection)
            sqlite_lanes.leave(job_id, connection)

        await self._file.write(work)

    async def list(self, after: str = "", limit: int = 100, *, owner: str | None = None) -> list[StatusRecord]:
        if owner is None:
            found = await self._file.read(partial(sqlite_records.find_live, after, limit))
        else:
            found = await self._file.read(partial(sqlite_records.find_owned, owner, after, limit))
        return [lease_moved(record, self._set_by) for record in found]

    async def lanes(self, most: int) -> Sequence[Lane]:
        silent_since = self._clock() - self._limits.lease_seconds
        return await self._file.read(partial(sqlite_lanes.read, most, silent_since))

    async def ping(self) -> None:
        await self._file.ping()
        await self.list(limit=1)

    def _create(self, record: StatusRecord, quota: Quota | None, connection: sqlite3.Connection) -> StatusRecord:
        sqlite_records.purge(connection)
        if known := self._find(record.job_id, connection):
            if not record.published:
                return known.record
            after = self._replace(known, transitions.confirm(known, time.time()), connection)
            sqlite_lanes.published(record.job_id, self._clock(), connection, again=known.record.published)
            return after.record
        owner, key = record.message.owner, record.idempotency_key
        if key is not None:
            if earlier := sqlite_records.find_by_key(owner, key, connection):
                return lease_moved(earlier.record, self._set_by)
            sqlite_records.store_key(owner, key, record.job_id, connection)
        if quota is not None:
            record = _counted(record, quota, connection)
        return self._replace(None, StoredRecord(record), connection).record

    async def _get(self, job_id: str) -> StatusRecord:
        return (await self._file.read(partial(self._known, job_id))).record

    def _known(self, job_id: str, connection: sqlite3.Connection) -> StoredRecord:
        if stored := self._find(job_id, connection):
            return stored
        raise absent(job_id, sqlite_records.epoch(connection), self._limits.retention_seconds, time.time())

    def _change(self, job_id: str, change: Change, connection: sqlite3.Connection) -> Verdict:
        before = self._find(job_id, connection)
        after, verdict = change(before)
        if after is not None:
            self._replace(before, after, connection)
        return verdict

    def _replace(
        self, before: StoredRecord | None, after: StoredRecord, connection: sqlite3.Connection
    ) -> StoredRecord:
        if after is not before:
            kept = replace(after, record=lease_moved(after.record, -self._set_by))
            sqlite_records.store(kept, self._limits.retention_seconds, connection)
            if kept.record.state.terminal:
                sqlite_lanes.leave(kept.record.job_id, connection)
            else:
                sqlite_lanes.keep(kept.record, self._clock(), connection)
        return after

    def _find(self, job_id: str, connection: sqlite3.Connection) -> StoredRecord | None:
        stored = sqlite_records.find(job_id, connection)
        return replace(stored, record=lease_moved(stored.record, self._set_by)) if stored else None

    @property
    def _set_by(self) -> float:
        """The seconds by which the time of day was set since the clock of the leases began."""
        return time.time() - self._clock()


def _counted(record: StatusRecord, quota: Quota, connection: sqlite3.Connection) -> StatusRecord:
    """Count the job as its party's. Raises TooManyJobs, which undoes the transaction."""
    live = sqlite_records.count_of(quota.party, connection)
    if quota.most is not None and live >= quota.most:
        raise TooManyJobs(quota.most)
    sqlite_records.join(quota.party, record.job_id, connection)
    return record.model_copy(update={"bulk": live >= quota.ahead})


@asynccontextmanager
async def open_sqlite_status_store(path: Path, limits: Limits) -> AsyncIterator[SQLiteStatusStore]:
    """Open the records in this file, made where missing. Raises BackendUnavailable when it cannot be used."""
    async with open_sqlite(path, "statuses", sqlite_records.SCHEMA + sqlite_lanes.SCHEMA) as file:
        await file.write(sqlite_records.begin_epoch)
        clock = await file.write(sqlite_records.begin_clock)
        waiters = Waiters()
        async with background_task(_watch(file, waiters)):
            yield SQLiteStatusStore(file, clock, limits, waiters)


async def _watch(file: SQLiteFile, waiters: Waiters) -> NoReturn:
    """Tell waiting callers which jobs ended. The check for a write by any process reads no row."""
    seen: object = None
    while True:
        await waiters.anyone()
        try:
            version = await file.read(sqlite_records.version)
            if version != seen:
                for job_id in await file.read(partial(sqlite_records.ended, waiters.job_ids)):
                    waiters.ended(job_id)
            seen = version
        except BackendUnavailable:
            seen = None  # callers look by themselves meanwhile
        await asyncio.sleep(WATCH_SECONDS)
