"""A case for a terminal: what it is, and its timeline."""

from collections.abc import Iterator
from datetime import UTC, datetime

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.cli.case import Case
from services.cli.tables import plain
from services.common.schemas import Event, StatusRecord


def print_case(case: Case, console: Console) -> None:
    """Nothing for a job that was not found."""
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(case):
        facts.add_row(name, escape(plain(value)))
    console.print(facts)
    if case.record is not None:
        console.print(_timeline(case.record))


def _facts(case: Case) -> Iterator[tuple[str, str]]:
    if case.removed_at is not None:
        yield "removed", _moment(case.removed_at)
    if case.rebuilding:
        yield "lost", "the status store was emptied after the job was made; it is known again when a worker begins it"
    if (record := case.record) is not None:
        message = record.message
        yield "job", record.job_id
        yield "state", record.state + (" (to be canceled)" if record.cancel_requested else "")
        yield "owner", message.owner or "none (a program)"
        yield "model", f"{message.model}, {message.modality}"
        yield "asked for", str(message.params)
        yield "read from", str(case.source)
        yield "attempts", str(record.attempt)
        yield from _now(case, record)
        if record.error is not None:
            yield "error", f"{record.error.code}: {record.error.message}"
        for artifact in record.artifacts:
            yield f"artifact {artifact.index}", f"{artifact.key}, {artifact.bytes} bytes"
        for message_id in case.dead_letters:
            yield "dead letter", message_id


def _now(case: Case, record: StatusRecord) -> Iterator[tuple[str, str]]:
    if case.waiting is not None:
        yield (
            "in its queue",
            f"{case.waiting} messages ready; expires {_moment(record.message.expires_at)} if not begun",
        )
    if record.lease_expires_at is not None:
        end = "" if record.leased else ": nobody renews it, so its worker is gone or stuck"
        yield "leased until", _moment(record.lease_expires_at) + end
    if record.progress is not None:
        yield "progress", f"{record.progress.phase}, {record.progress.step} of {record.progress.total}"


def _timeline(record: StatusRecord) -> Table:
    table = Table("at (UTC)", "after (s)", "what", "attempt", title="Timeline")
    last = record.created_at
    for event in (Event(what="created", at=last), *record.timeline):
        table.add_row(_moment(event.at), f"{event.at - last:.3f}", event.what, str(event.attempt or ""))
        last = event.at
    return table


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ", "milliseconds").removesuffix("+00:00")
