"""How a job's status changes, as functions of what is stored before: the rules every status store keeps.

The SQLite store calls them inside a transaction; the Redis store has the same rules as server-side scripts.
Each returns what is stored after (the same object when nothing changed) and the verdict. `now` is in Unix seconds.
"""

from dataclasses import dataclass, replace

from services.common.ports import Lease, Limits, Outcome, Verdict
from services.common.schemas import Event, JobMessage, Progress, State, StatusRecord

MOST_EVENTS = 60  # a job that is handed back again and again stops adding to its timeline
BEGUN = "begun"

_UNLEASED = {"lease_token": None, "lease_message_id": None, "lease_expires_at": None}  # no password  # nosec B105


@dataclass(frozen=True)
class Entry:
    """A record, and what gives a call repeated for want of its answer the same answer again."""

    record: StatusRecord
    exhausted: bool = False  # the present lease was given without an attempt left
    ended_by: str | None = None  # token of the lease that last ended or released the job


def begin(
    entry: Entry | None, message: JobMessage, lease: Lease, limits: Limits, *, recreate: bool, now: float
) -> tuple[Entry | None, Verdict]:
    """See `StatusStore.begin`."""
    if entry is None:
        return _made_again(message, lease, limits, now) if recreate else (None, Verdict.MISSING)
    record = entry.record
    if record.state.terminal:
        return entry, Verdict.LOST
    if record.state is State.QUEUED and record.attempt == 0 and now > message.expires_at:
        return Entry(_ended(record, State.EXPIRED, now)), Verdict.LOST
    return _take(entry, lease, limits, now)


def progress(
    entry: Entry | None, lease: Lease, made: Progress, limits: Limits, now: float
) -> tuple[Entry | None, Verdict]:
    """Store progress and renew the lease, whose time may have passed as long as nobody took the job over."""
    if entry is None:
        return None, Verdict.MISSING
    if not _runs_under(entry.record, lease):
        return entry, Verdict.LOST
    record = entry.record
    told = record.progress.phase if record.progress else None
    if told != made.phase or [event.what for event in record.timeline[-1:]] == [BEGUN]:
        record = _noted(record, made.phase, now)
    update = {"progress": made, "lease_expires_at": now + limits.lease_seconds}
    return replace(entry, record=record.model_copy(update=update)), _held(record)


def finish(entry: Entry | None, lease: Lease, outcome: Outcome, now: float) -> tuple[Entry | None, Verdict]:
    """End the job, or queue it again with its attempt handed back."""
    if entry is None:
        return None, Verdict.MISSING
    record = entry.record
    if lease.token and entry.ended_by == lease.token and record.state is outcome.state:
        return entry, Verdict.HELD
    accepted = outcome.release_key and record.published  # by another gateway, as its client has been told
    by_gateway = not lease.token and record.state is State.QUEUED and not accepted
    if not by_gateway and not _runs_under(record, lease):
        return entry, Verdict.LOST
    if outcome.state is State.QUEUED:
        handed_back = {"attempt": max(record.attempt - 1, 0), "progress": None, **_UNLEASED}
        after = _noted(record, "released", now).model_copy(update={"state": State.QUEUED, **handed_back})
    else:
        result = {"artifacts": outcome.artifacts, "error": outcome.error}
        after = _ended(record, outcome.state, now).model_copy(update=result)
    return Entry(after, ended_by=lease.token), Verdict.HELD


def request_cancel(entry: Entry, now: float) -> Entry:
    """Cancel a queued job at once and flag a running one."""
    if entry.record.state is State.QUEUED:
        return Entry(_ended(entry.record, State.CANCELED, now))
    if entry.record.state.terminal or entry.record.cancel_requested:
        return entry
    record = _noted(entry.record, "canceling", now)
    return replace(entry, record=record.model_copy(update={"cancel_requested": True}))


def confirm(entry: Entry, now: float) -> Entry:
    """The message is on its queue."""
    return entry if entry.record.published else replace(entry, record=_published(entry.record, now))


def _made_again(message: JobMessage, lease: Lease, limits: Limits, now: float) -> tuple[Entry, Verdict]:
    exhausted = lease.attempt > limits.max_attempts
    attempt = min(lease.attempt, limits.max_attempts)
    record = StatusRecord(job_id=message.job_id, message=message, created_at=message.created_at, attempt=attempt)
    after = Entry(_leased(record, lease, limits, now, exhausted=exhausted), exhausted=exhausted)
    return after, Verdict.EXHAUSTED if exhausted else Verdict.HELD


def _take(entry: Entry, lease: Lease, limits: Limits, now: float) -> tuple[Entry, Verdict]:
    record = entry.record
    if record.lease_token == lease.token:
        return entry, Verdict.EXHAUSTED if entry.exhausted else _held(record)
    fresh = record.lease_expires_at is not None and record.lease_expires_at > now
    if fresh and record.lease_message_id != lease.message_id:
        return entry, Verdict.DUPLICATE
    if record.attempt >= limits.max_attempts:
        return Entry(_leased(record, lease, limits, now, exhausted=True), exhausted=True), Verdict.EXHAUSTED
    after = _leased(record.model_copy(update={"attempt": record.attempt + 1}), lease, limits, now)
    return Entry(after), _held(after)


def _leased(record: StatusRecord, lease: Lease, limits: Limits, now: float, *, exhausted: bool = False) -> StatusRecord:
    record = _noted(_published(record, now), "exhausted" if exhausted else BEGUN, now)
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
    return _noted(record, state.value, now).model_copy(update=ended)


def _published(record: StatusRecord, now: float) -> StatusRecord:
    if record.published:
        return record
    return _noted(record, "published", now).model_copy(update={"published": True})


def _noted(record: StatusRecord, what: str, now: float) -> StatusRecord:
    if len(record.timeline) >= MOST_EVENTS:
        return record
    event = Event(what=what, at=now, attempt=record.attempt)
    return record.model_copy(update={"timeline": (*record.timeline, event)})


def _runs_under(record: StatusRecord, lease: Lease) -> bool:
    return record.state is State.RUNNING and record.lease_token == lease.token


def _held(record: StatusRecord) -> Verdict:
    return Verdict.CANCEL if record.cancel_requested else Verdict.HELD
