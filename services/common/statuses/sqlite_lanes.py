"""The lanes of the embedded status store: a row for each live job, by which the sweeper finds lost messages."""

import sqlite3
from typing import Final

from services.common.brokers.lanes import BULK_SUFFIX, is_bulk, lane_of, model_of
from services.common.schemas import StatusRecord
from services.common.statuses.lane import Lane
from services.common.statuses.reading import readable
from services.common.statuses.retention import FIRST_OF_LANE, PASSED_SECONDS
from services.common.statuses.sqlite_records import parsed

# `queued_at`: when the job's message was published last; `again`: more than once. `leased_until` is 0 without a lease.
# Both times are by the clock of the file.
SCHEMA: Final = (
    """CREATE TABLE IF NOT EXISTS live (
        job_id TEXT PRIMARY KEY, lane TEXT NOT NULL, queued_at REAL NOT NULL, again INTEGER NOT NULL DEFAULT 0,
        leased_until REAL NOT NULL DEFAULT 0) WITHOUT ROWID""",
    "CREATE INDEX IF NOT EXISTS live_in_order ON live (lane, leased_until, queued_at)",
    "CREATE TABLE IF NOT EXISTS begun (lane TEXT PRIMARY KEY, queued_at REAL NOT NULL) WITHOUT ROWID",
    # An earlier version keeps no lanes.
    "DELETE FROM live WHERE job_id NOT IN (SELECT job_id FROM statuses WHERE forget_at IS NULL)",
    f"""INSERT OR IGNORE INTO live (job_id, lane, queued_at)
        SELECT job_id, json_extract(record, '$.message.model')
            || CASE json_extract(record, '$.bulk') WHEN 1 THEN '{BULK_SUFFIX}' ELSE '' END,
            json_extract(record, '$.created_at')
        FROM (SELECT job_id, record FROM statuses WHERE forget_at IS NULL AND job_id NOT IN (SELECT job_id FROM live))
        WHERE json_valid(record) AND json_extract(record, '$.message.model') IS NOT NULL""",  # noqa: S608 - our constant  # nosec B608
)


def keep(record: StatusRecord, now: float, connection: sqlite3.Connection) -> None:
    """Give a live job its place in its lane; one that has a place keeps it."""
    lane, until = lane_of(record.message.model, bulk=record.bulk), record.lease_expires_at or 0
    connection.execute(
        """INSERT INTO live (job_id, lane, queued_at, leased_until) VALUES (?, ?, ?, ?)
        ON CONFLICT (job_id) DO UPDATE SET leased_until = excluded.leased_until""",
        (record.job_id, lane, min(record.created_at, now), until),
    )


def leave(job_id: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM live WHERE job_id = ?", (job_id,))


def published(job_id: str, now: float, connection: sqlite3.Connection, *, again: bool) -> None:
    """Note that the job's message was put on the queue, behind all others."""
    connection.execute("UPDATE live SET queued_at = ?, again = again OR ? WHERE job_id = ?", (now, again, job_id))


def begun(job_id: str, connection: sqlite3.Connection) -> None:
    """Note that its lane was served up to this job, unless another message of it may have been begun."""
    connection.execute(
        """INSERT INTO begun SELECT lane, queued_at FROM live WHERE job_id = ? AND NOT again
        ON CONFLICT (lane) DO UPDATE SET queued_at = max(queued_at, excluded.queued_at)""",
        (job_id,),
    )


def read(most: int, silent_since: float, connection: sqlite3.Connection) -> list[Lane]:
    """See `StatusStore.lanes`. A job whose lease ran out after `silent_since` counts as leased."""
    found = list[Lane]()
    next_lane = "SELECT lane FROM live WHERE lane > ? ORDER BY lane LIMIT 1"  # DISTINCT would read the whole index
    row = connection.execute(next_lane, ("",)).fetchone()
    while row:
        found.append(_lane(row[0], most, silent_since, connection))
        row = connection.execute(next_lane, row).fetchone()
    return found


def _lane(name: str, most: int, silent_since: float, connection: sqlite3.Connection) -> Lane:
    found = connection.execute("SELECT queued_at FROM begun WHERE lane = ?", (name,)).fetchone()
    served = found[0] - PASSED_SECONDS if found else 0.0
    passed_before = "SELECT 1 FROM live WHERE lane = ? AND leased_until = 0 AND queued_at <= ? LIMIT ?"
    passed = len(connection.execute(passed_before, (name, served, most)).fetchall())
    query = """SELECT job_id, record, queued_at FROM live JOIN statuses USING (job_id)
        WHERE lane = ? AND forget_at IS NULL AND leased_until BETWEEN ? AND ?
        ORDER BY leased_until, queued_at LIMIT ?"""
    silent = connection.execute(query, (name, 1, silent_since, most)).fetchall()
    waiting = connection.execute(query, (name, 0, 0, min(most, max(passed, FIRST_OF_LANE)))).fetchall()
    leased = connection.execute("SELECT job_id FROM live WHERE lane = ? AND leased_until > ?", (name, silent_since))
    return Lane(
        model_of(name),
        is_bulk(name),
        tuple(readable(parsed, [(job_id, record) for job_id, record, _ in silent + waiting])),
        frozenset(job_id for job_id, _, queued_at in silent + waiting if queued_at <= served),
        frozenset(job_id for (job_id,) in leased),
    )
