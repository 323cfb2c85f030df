"""The transitions of a job's status, as pure functions: the rules of every status store.

The SQLite store calls them inside a transaction; the Redis store has the same rules as server-side scripts.
Each returns the record to store (the same object when nothing changed) and the verdict. `now` is in Unix seconds.
"""

from dataclasses import dataclass, replace
from typing import TypeAlias

from services.common.ports import Lease, Limits, Outcome, Renewal, Verdict
from services.common.schemas import Event, JobMessage, Progress, State, StatusRecord

MOST_EVENTS = 60  # a job that is handed back again and again stops adding to its timeline
BEGUN = "begun"

_UNLEASED = {"lease_token": None, "lease_message_id": None, "lease_expires_at": None}  # no password  # nosec B105


@dataclass(frozen=True)
class StoredRecord:
    """A record, and the facts by which a call repeated after a lost answer gets the same answer."""

    record: StatusRecord
    exhausted: bool = False  # the present lease was given without an attempt left
    ended_by: str | None = None  # token of the lease that last ended or released the job


Decision: TypeAlias = tuple[StoredRecord | None, Verdict]


def begin(
    stored: StoredRecord | None, message: JobMessage, lease: Lease, limits: Limits, *, recreate: bool, now: float
) -> Decision:
    """See `StatusStore.begin`."""
    if stored is None:
        return _recreated(message, lease, limits, now) if recreate else (None, Verdict.MISSING)
    record = stored.record
    if record.state.terminal:
        return stored, Verdict.LOST
    if record.state is State.QUEUED and record.attempt == 0 and now > message.expires_at:
        return StoredRecord(_ended(record, State.EXPIRED, now)), Verdict.LOST
    return _take(stored, lease, limits, now)


def progress(stored: StoredRecord | None, lease: Lease, made: Progress, limits: Limits, now: float) -> Decision:
    """Store progress and renew the lease, which may have expired unless another worker took the job over."""
    if stored is None:
        return None, Verdict.MISSING
    if not _runs_under(stored.record, lease):
        return stored, Verdict.LOST
    record = stored.record
    shown = record.progress.phase if record.progress else None
    if shown != made.phase or [event.what for event in record.timeline[-1:]] == [BEGUN]:
        record = _with_event(record, made.phase, now)
    update = {"progress": made, "lease_expires_at": now + limits.lease_seconds}
    return replace(stored, record=record.model_copy(update=update)), _held(record)


def finish(stored: StoredRecord | None, lease: Lease, outcome: Outcome, now: float) -> Decision:
    """End the job, or queue it again with its attempt handed back."""
    if stored is None:
        return None, Verdict.MISSING
    record = stored.record
    if lease.token and stored.ended_by == lease.token and record.state is outcome.state:
        return stored, Verdict.HELD
    accepted = outcome.release_key and record.published  # by another gateway, and its client knows
    by_gateway = not lease.token and record.state is State.QUEUED and not accepted
    if not by_gateway and not _runs_under(record, lease):
        return stored, Verdict.LOST
    if outcome.state is State.QUEUED:
        handed_back = {"attempt": max(record.attempt - 1, 0), "progress": None, **_UNLEASED}
        after = _with_event(record, "released", now).model_copy(update={"state": State.QUEUED, **handed_back})
    else:
        result = {"artifacts": outcome.artifacts, "error": outcome.error, "warnings": outcome.warnings}
        after = _ended(record, outcome.state, now).model_copy(update=result)
    return StoredRecord(after, ended_by=lease.token), Verdict.HELD


def request_cancel(stored: StoredRecord, now: float) -> StoredRecord:
    """Cancel a queued job at once and flag a running one."""
    if stored.record.state is State.QUEUED:
        return StoredRecord(_ended(stored.record, State.CANCELED, now))
    if stored.record.state.terminal or stored.record.cancel_requested:
        return stored
    record = _with_event(stored.record, "canceling", now)
    return replace(stored, record=record.model_copy(update={"cancel_requested": True}))


def confirm(stored: StoredRecord, now: float) -> StoredRecord:
    """Note that the message is on its queue."""
    return stored if stored.record.published else replace(stored, record=_published(stored.record, now))


def _recreated(message: JobMessage, lease: Lease, limits: Limits, now: float) -> tuple[StoredRecord, Verdict]:
    record = StatusRecord(job_id=message.job_id, message=message, created_at=message.created_at, attempt=1)
    return StoredRecord(_leased(record, lease, limits, now)), Verdict.HELD


def _take(stored: StoredRecord, lease: Lease, limits: Limits, now: float) -> tuple[StoredRecord, Verdict]:
    record = stored.record
    if record.lease_token == lease.token:
        return stored, Verdict.EXHAUSTED if stored.exhausted else _held(record)
    if (renewal := Renewal.of(record)) not in (None, lease.silent):
        fresh = renewal.expires_at > now and record.lease_message_id != lease.message_id
        return stored, Verdict.DUPLICATE if fresh else Verdict.BUSY
    if record.attempt >= limits.max_attempts:
        return StoredRecord(_leased(record, lease, limits, now, exhausted=True), exhausted=True), Verdict.EXHAUSTED
    after = _leased(record.model_copy(update={"attempt": record.attempt + 1}), lease, limits, now)
    return StoredRecord(after), _held(after)


def _leased(record: StatusRecord, lease: Lease, limits: Limits, now: float, *, exhausted: bool = False) -> StatusRecord:
    record = _with_event(_published(record, now), "exhausted" if exhausted else BEGUN, now)
    update = {
        "state": State.RUNNING,
        "started_at": now if record.started_at is None else record.started_at,
        "lease_token": lease.token,
        "lease_message_id": lease.message_id,
        "lease_expires_at": now + limits.lease_seconds,
    }
    return record.model_copy(update=update)


def _ended(record: StatusRecord, state: State, now: float) -> StatusRecord:
    ended = {"state": state, "finished_at": now, "progress": None, "bulk": False, **_UNLEASED}
    return _with_event(record, state.value, now).model_copy(update=ended)


def _published(record: StatusRecord, now: float) -> StatusRecord:
    if record.published:
        return record
    return _with_event(record, "published", now).model_copy(update={"published": True})


def _with_event(record: StatusRecord, what: str, now: float) -> StatusRecord:
    if len(record.timeline) >= MOST_EVENTS:
        return record
    event = Event(what=what, at=now, attempt=record.attempt)
    return record.model_copy(update={"timeline": (*record.timeline, event)})


def _runs_under(record: StatusRecord, lease: Lease) -> bool:
    return record.state is State.RUNNING and record.lease_token == lease.token


def _held(record: StatusRecord) -> Verdict:
    return Verdict.CANCEL if record.cancel_requested else Verdict.HELD
