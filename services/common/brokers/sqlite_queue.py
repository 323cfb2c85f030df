"""The embedded queue's table and every statement on it, as units of work for `SQLiteFile`.

A message is ready when no lease holds it: its `leased_until` is 0, or past. Only the holder of the token settles it,
so a lease that was lost settles to nothing.
"""

import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from services.common.brokers.delivery import Settlement
from services.common.brokers.lanes import BULK_SUFFIX, lane_of, lanes_of
from services.common.ports import DeadLetter
from services.common.sqlite.clock import SCHEMA as CLOCK_SCHEMA
from services.common.sqlite.clock import SQLiteClock, open_clock

# `place` keeps the order of publishing; a message put back keeps its place.
SCHEMA = (
    CLOCK_SCHEMA,
    """CREATE TABLE IF NOT EXISTS messages (
        place INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE, model TEXT NOT NULL,
        body BLOB NOT NULL, deliveries INTEGER NOT NULL DEFAULT 0,
        token TEXT UNIQUE, leased_until REAL NOT NULL DEFAULT 0)""",
    "CREATE INDEX IF NOT EXISTS messages_of_model ON messages (model, place)",
    """CREATE TABLE IF NOT EXISTS dead_letters (
        place INTEGER PRIMARY KEY AUTOINCREMENT, message_id TEXT NOT NULL UNIQUE, model TEXT NOT NULL,
        body BLOB NOT NULL, died_at REAL NOT NULL)""",
    # A table and no column, so that files of earlier versions need no migration; JSON, of the few messages with any.
    "CREATE TABLE IF NOT EXISTS headers (message_id TEXT PRIMARY KEY, headers TEXT NOT NULL)",
    """CREATE TRIGGER IF NOT EXISTS headers_go_too AFTER DELETE ON messages BEGIN
        DELETE FROM headers WHERE message_id = OLD.message_id; END""",
)


# Body, id, earlier deliveries, headers, and whether it is bulk.
LeasedMessage: TypeAlias = tuple[bytes, str, int, Mapping[str, str], bool]


@dataclass(frozen=True)
class QueuedMessage:
    """A message to be queued."""

    message_id: str
    model: str
    body: bytes
    headers: Mapping[str, str]
    bulk: bool


@dataclass(frozen=True)
class LeaseRequest:
    """A request for one message a token. The consumer chooses the tokens, so it can undo a request without its answer.

    `lanes` are searched in order; True stands for the bulk lane. `now` is by the clock of the queue.
    """

    model: str
    lanes: tuple[bool, ...]
    tokens: tuple[str, ...]
    now: float
    lease_seconds: float


def begin_clock(connection: sqlite3.Connection) -> SQLiteClock:
    """Return the clock of the leases. Those from before the machine was started end: no process renews them."""
    clock, begun_anew = open_clock("broker", connection)
    if begun_anew:
        connection.execute("UPDATE messages SET token = NULL, leased_until = 0 WHERE token IS NOT NULL")
    return clock


def insert(message: QueuedMessage, limit: int, now: float, connection: sqlite3.Connection) -> bool:
    """Queue the message unless its id is queued already; return False when the queue is full."""
    if connection.execute("SELECT 1 FROM messages WHERE message_id = ?", (message.message_id,)).fetchone():
        return True
    if depth(lanes_of(message.model), now, connection) >= limit:
        return False
    row = (message.message_id, lane_of(message.model, bulk=message.bulk), message.body)
    connection.execute("INSERT INTO messages (message_id, model, body) VALUES (?, ?, ?)", row)
    if message.headers:
        beside = (message.message_id, json.dumps(message.headers))
        connection.execute("INSERT OR REPLACE INTO headers VALUES (?, ?)", beside)
    return True


def claim_next(request: LeaseRequest, connection: sqlite3.Connection) -> list[LeasedMessage]:
    """Lease the first ready messages, as many as there are tokens, or fewer."""
    found = list[LeasedMessage]()
    for token in request.tokens:
        claimed = _claim_one(request, token, connection)
        if claimed is None:
            break
        found.append(claimed)
    return found


def _claim_one(request: LeaseRequest, token: str, connection: sqlite3.Connection) -> LeasedMessage | None:
    until = request.now + request.lease_seconds
    for bulk in request.lanes:
        row: tuple[bytes, str, int, str | None] | None = connection.execute(
            """UPDATE messages SET token = ?, leased_until = ?, deliveries = deliveries + 1
            WHERE place = (SELECT place FROM messages WHERE model = ? AND leased_until <= ? ORDER BY place LIMIT 1)
            RETURNING body, message_id, deliveries - 1,
                (SELECT headers FROM headers WHERE headers.message_id = messages.message_id)""",
            (token, until, lane_of(request.model, bulk=bulk), request.now),
        ).fetchone()
        if row is not None:
            return (*row[:3], json.loads(row[3] or "{}"), bulk)
    return None


def unclaim(tokens: tuple[str, ...], connection: sqlite3.Connection) -> None:
    """Requeue messages that were never handed out, without counting a delivery."""
    for token in tokens:
        connection.execute("UPDATE messages SET deliveries = deliveries - 1 WHERE token = ?", (token,))
        _requeue(token, connection)


def renew(tokens: tuple[str, ...], until: float, connection: sqlite3.Connection) -> None:
    """Move the end of these leases, by the clock of the queue."""
    connection.execute(
        "UPDATE messages SET leased_until = ? WHERE token IN (SELECT value FROM json_each(?))",
        (until, json.dumps(tokens)),
    )


def settle(token: str, settlement: Settlement, connection: sqlite3.Connection) -> None:
    _SETTLE[settlement](token, connection)


def depth(lanes: Sequence[str], now: float, connection: sqlite3.Connection) -> int:
    """Return how many messages of these lanes are ready."""
    query = "SELECT count(*) FROM messages WHERE model IN (SELECT value FROM json_each(?)) AND leased_until <= ?"
    count: int = connection.execute(query, (json.dumps(lanes), now)).fetchone()[0]
    return count


def dead_letter_count(connection: sqlite3.Connection) -> int:
    count: int = connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0]
    return count


def dead_letters(limit: int, connection: sqlite3.Connection) -> list[DeadLetter]:
    query = "SELECT message_id, model, body, died_at FROM dead_letters ORDER BY place LIMIT ?"
    return [DeadLetter(*row) for row in connection.execute(query, (limit,))]


def replay(message_id: str, connection: sqlite3.Connection) -> bool:
    """Move a dead letter to the end of its model's first lane, over the limit too; False when there is none."""
    connection.execute(
        """INSERT OR IGNORE INTO messages (message_id, model, body)
        SELECT message_id, model, body FROM dead_letters WHERE message_id = ?""",
        (message_id,),
    )
    return drop(message_id, connection)


def drop(message_id: str, connection: sqlite3.Connection) -> bool:
    """Forget a dead letter; False when there is none."""
    return connection.execute("DELETE FROM dead_letters WHERE message_id = ?", (message_id,)).rowcount > 0


def _ack(token: str, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM messages WHERE token = ?", (token,))


def _requeue(token: str, connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE messages SET token = NULL, leased_until = 0 WHERE token = ?", (token,))


def _reject(token: str, connection: sqlite3.Connection) -> None:
    connection.execute(
        """INSERT OR REPLACE INTO dead_letters (message_id, model, body, died_at)
        SELECT message_id, replace(model, ?, ''), body, ? FROM messages WHERE token = ?""",
        (BULK_SUFFIX, time.time(), token),
    )
    _ack(token, connection)


_SETTLE = {Settlement.ACK: _ack, Settlement.REJECT: _reject, Settlement.REQUEUE: _requeue, Settlement.RETRY: _requeue}
