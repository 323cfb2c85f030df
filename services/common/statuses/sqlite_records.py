"""The embedded status store's tables and every statement on them, as work within a transaction of `SQLiteFile`.

A record is one JSON document; the other columns exist to search by.
"""

import json
import sqlite3
import time
from collections.abc import Sequence
from functools import lru_cache
from itertools import islice
from typing import Final

from services.common.schemas import StatusRecord
from services.common.sqlite.clock import SCHEMA as CLOCK_SCHEMA
from services.common.sqlite.clock import SQLiteClock, open_clock
from services.common.statuses.reading import readable, reading
from services.common.statuses.retention import KEY_SECONDS, MOST_PARSED
from services.common.statuses.transitions import StoredRecord

BEHIND_EVERY_ID: Final = "~"
_OWNER: Final = "ifnull(json_extract(record, '$.message.owner'), '')"

# `forget_at` in Unix seconds; null while the job is live.
SCHEMA = (
    CLOCK_SCHEMA,
    """CREATE TABLE IF NOT EXISTS statuses (
        job_id TEXT PRIMARY KEY, record TEXT NOT NULL, exhausted INTEGER NOT NULL, ended_by TEXT, forget_at REAL)""",
    "CREATE INDEX IF NOT EXISTS statuses_live ON statuses (job_id) WHERE forget_at IS NULL",
    "CREATE INDEX IF NOT EXISTS statuses_ended ON statuses (forget_at) WHERE forget_at IS NOT NULL",
    f"CREATE INDEX IF NOT EXISTS statuses_owned ON statuses ({_OWNER}, job_id)",
    """CREATE TABLE IF NOT EXISTS idempotency_keys (
        owner TEXT NOT NULL, key TEXT NOT NULL, job_id TEXT NOT NULL, forget_at REAL NOT NULL,
        PRIMARY KEY (owner, key))""",
    "CREATE INDEX IF NOT EXISTS keys_of_job ON idempotency_keys (job_id)",
    "CREATE INDEX IF NOT EXISTS keys_by_time ON idempotency_keys (forget_at)",
    """CREATE TABLE IF NOT EXISTS parties (job_id TEXT PRIMARY KEY, party TEXT NOT NULL) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS jobs_of_party ON parties (party)",
    "CREATE TABLE IF NOT EXISTS epoch (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), seconds REAL NOT NULL)",
)


def begin_clock(connection: sqlite3.Connection) -> SQLiteClock:
    """Return the clock of the leases. Those from before the machine was started end: no process renews them."""
    clock, begun_anew = open_clock("statuses", connection)
    if begun_anew:
        connection.execute(
            """UPDATE statuses SET record = json_set(record, '$.lease_expires_at', ?)
            WHERE forget_at IS NULL AND json_extract(record, '$.lease_expires_at') IS NOT NULL""",
            (clock(),),
        )
        # The lanes, see `sqlite_lanes`: no time in them may be in the future.
        connection.execute(
            "UPDATE live SET leased_until = min(leased_until, 1), queued_at = min(queued_at, ?)", (clock(),)
        )
        connection.execute("DELETE FROM begun")
    return clock


def begin_epoch(connection: sqlite3.Connection) -> None:
    """Set the epoch at the first use, in whole milliseconds like the time inside an id."""
    seconds = int(time.time() * 1000) / 1000
    connection.execute("INSERT OR IGNORE INTO epoch VALUES (1, ?)", (seconds,))


def epoch(connection: sqlite3.Connection) -> float:
    seconds: float = connection.execute("SELECT seconds FROM epoch").fetchone()[0]
    return seconds


def find(job_id: str, connection: sqlite3.Connection) -> StoredRecord | None:
    query = """SELECT record, exhausted, ended_by FROM statuses
        WHERE job_id = ? AND (forget_at IS NULL OR forget_at > ?)"""
    row = connection.execute(query, (job_id, time.time())).fetchone()
    return StoredRecord(parsed((job_id, row[0])), bool(row[1]), row[2]) if row else None


def find_by_key(owner: str | None, key: str, connection: sqlite3.Connection) -> StoredRecord | None:
    """The stored under this Idempotency-Key, unless record or key has been forgotten."""
    row = connection.execute(
        "SELECT job_id FROM idempotency_keys WHERE owner = ? AND key = ? AND forget_at > ?",
        (owner or "", key, time.time()),
    ).fetchone()
    return find(row[0], connection) if row else None


def find_live(after: str, limit: int, connection: sqlite3.Connection) -> list[StatusRecord]:
    rows = connection.execute(
        "SELECT job_id, record FROM statuses WHERE forget_at IS NULL AND job_id > ? ORDER BY job_id", (after,)
    )
    return list(islice(readable(parsed, rows), limit))


def find_owned(owner: str, before: str, limit: int, connection: sqlite3.Connection) -> list[StatusRecord]:
    """Return the newest first, only those older than `before` unless that is empty."""
    rows = connection.execute(
        f"""SELECT job_id, record FROM statuses
            WHERE {_OWNER} = ? AND job_id < ? AND (forget_at IS NULL OR forget_at > ?)
            ORDER BY job_id DESC""",  # noqa: S608 - our own constant  # nosec B608
        (owner, before or BEHIND_EVERY_ID, time.time()),
    )
    return list(islice(readable(parsed, rows), limit))


def version(connection: sqlite3.Connection) -> tuple[int, int]:
    """Return a value that changes with every write, of any connection."""
    other: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return other, connection.total_changes


def ended(job_ids: Sequence[str], connection: sqlite3.Connection) -> list[str]:
    """Return which of these jobs are over or gone."""
    query = "SELECT value FROM json_each(?) WHERE value NOT IN (SELECT job_id FROM statuses WHERE forget_at IS NULL)"
    return [job_id for (job_id,) in connection.execute(query, (json.dumps(job_ids),))]


def count_of(party: str, connection: sqlite3.Connection) -> int:
    """Return how many live jobs the party has."""
    count: int = connection.execute("SELECT count(*) FROM parties WHERE party = ?", (party,)).fetchone()[0]
    return count


def join(party: str, job_id: str, connection: sqlite3.Connection) -> None:
    """Count the job as the party's until it ends."""
    connection.execute("INSERT OR REPLACE INTO parties VALUES (?, ?)", (job_id, party))


def store(stored: StoredRecord, retention_seconds: float, connection: sqlite3.Connection) -> None:
    """Write the whole stored over what was there."""
    record = stored.record
    forget_at = None if record.finished_at is None else record.finished_at + retention_seconds
    connection.execute(
        "INSERT OR REPLACE INTO statuses VALUES (?, ?, ?, ?, ?)",
        (record.job_id, record.model_dump_json(), stored.exhausted, stored.ended_by, forget_at),
    )
    if forget_at is not None:
        _leave(record.job_id, connection)


def store_key(owner: str | None, key: str, job_id: str, connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO idempotency_keys VALUES (?, ?, ?, ?)",
        (owner or "", key, job_id, time.time() + KEY_SECONDS),
    )


def forget_key(job_id: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM idempotency_keys WHERE job_id = ?", (job_id,))


def forget(job_id: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM statuses WHERE job_id = ?", (job_id,))
    forget_key(job_id, connection)
    _leave(job_id, connection)


def purge(connection: sqlite3.Connection) -> None:
    """Delete expired rows; without any, it costs two index look-ups."""
    now = time.time()
    connection.execute("DELETE FROM statuses WHERE forget_at <= ?", (now,))
    connection.execute("DELETE FROM idempotency_keys WHERE forget_at <= ?", (now,))


def _leave(job_id: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM parties WHERE job_id = ?", (job_id,))


@lru_cache(maxsize=MOST_PARSED)
def parsed(row: tuple[str, str]) -> StatusRecord:
    """Parse a record. Most reads of a job find the same row, and then get the same object."""
    job_id, document = row
    with reading(job_id):
        return StatusRecord.model_validate_json(document)
