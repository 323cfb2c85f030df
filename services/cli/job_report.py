"""A report of one job for on-call: its record, manifest, queue and dead letters."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Self

from rich.markup import escape
from rich.table import Table

from services.cli.tables import plain, print_table
from services.common.backends import Backends, open_backends
from services.common.errors import JobNotFound, JobRemoved, StatusRebuilding
from services.common.ids import created_at, is_job_id
from services.common.manifests import Manifests
from services.common.schemas import Event, StatusRecord
from services.common.settings import Settings

LETTERS: Final = 1000  # dead letters that are looked through


@dataclass(frozen=True)
class JobReport:
    """The facts of a job. `source` of the record is statuses or manifest. Times in Unix seconds."""

    job_id: str
    record: StatusRecord | None = None
    source: str | None = None
    removed_at: float | None = None
    rebuilding: bool = False  # the status store was emptied after the job was made: its message may still be queued
    leased: bool = False  # a worker renewed its lease lately
    waiting: int | None = None  # messages ready in its model's queue, while it is live
    dead_letters: tuple[str, ...] = ()  # ids of its messages among them

    @property
    def found(self) -> bool:
        return self.record is not None or self.removed_at is not None or self.rebuilding

    @classmethod
    async def of(cls, backends: Backends, job_id: str) -> Self:
        """Read all backends for this job. Raises BackendUnavailable."""
        manifests = Manifests(backends.objects)
        if not is_job_id(job_id):
            return cls(job_id)
        source, rebuilding = "statuses", False
        try:
            record: StatusRecord | None = await backends.statuses.get(job_id)
        except JobNotFound as exc:
            source, rebuilding = "manifest", isinstance(exc, StatusRebuilding)
            try:
                record = await manifests.read(job_id)
            except JobRemoved:
                return cls(job_id, removed_at=await manifests.removed_at(job_id))
        if record is None:
            return cls(job_id, rebuilding=rebuilding)
        waiting = None if record.state.terminal else await backends.broker.depth(record.message.model)
        leased, letters = record.is_leased(backends.clock()), await _letters(backends, record)
        return cls(job_id, record, source, leased=leased, waiting=waiting, dead_letters=letters)

    def as_json(self) -> dict[str, Any]:
        """Return everything, as it is stored."""
        record = self.record.model_dump(mode="json") if self.record else None
        made = created_at(self.job_id) if is_job_id(self.job_id) else None
        known = {"id": self.job_id, "made_at": made, "source": self.source, "record": record}
        found = {"removed_at": self.removed_at, "rebuilding": self.rebuilding, "waiting": self.waiting}
        return {**known, **found, "dead_letters": list(self.dead_letters)}


async def read_job_report(settings: Settings, job_id: str) -> JobReport:
    """Open the backends and read the report. Raises BackendUnavailable."""
    async with open_backends(settings) as backends:
        return await JobReport.of(backends, job_id)


async def _letters(backends: Backends, record: StatusRecord) -> tuple[str, ...]:
    """Return the job's dead letters. Looks only if there may be one: reading hides them from others meanwhile."""
    if record.error is None or record.error.code not in ("poison", "invalid-message"):
        return ()
    letters = await backends.broker.dead_letters(LETTERS)
    return tuple(letter.message_id for letter in letters if record.job_id.encode() in letter.body)


def print_job_report(report: JobReport) -> None:
    """Print the report; nothing for a job that was not found."""
    facts = Table.grid(padding=(0, 2))
    for name, value in _facts(report):
        facts.add_row(name, escape(plain(value)))
    print_table(facts)
    if report.record is not None:
        print_table(_timeline(report.record))


def _facts(report: JobReport) -> Iterator[tuple[str, str]]:
    if report.removed_at is not None:
        yield "removed", _moment(report.removed_at)
    if report.rebuilding:
        yield (
            "lost",
            "the status store was emptied after the job was made; a worker that begins the job records it again",
        )
    if (record := report.record) is not None:
        message = record.message
        yield "job", record.job_id
        yield "state", record.state + (" (to be canceled)" if record.cancel_requested else "")
        yield "owner", message.owner or "none (a program)"
        yield "model", f"{message.model}, {message.modality}"
        yield "asked for", str(message.params)
        yield "read from", str(report.source)
        yield "attempts", str(record.attempt)
        yield from _now(report, record)
        if record.error is not None:
            yield "error", f"{record.error.code}: {record.error.message}"
        for warning in record.warnings:
            yield "warning", f"{warning.code}: {warning.message}"
        for artifact in record.artifacts:
            yield f"artifact {artifact.index}", f"{artifact.key}, {artifact.bytes} bytes"
        for message_id in report.dead_letters:
            yield "dead letter", message_id


def _now(report: JobReport, record: StatusRecord) -> Iterator[tuple[str, str]]:
    if report.waiting is not None:
        yield (
            "in its queue",
            f"{report.waiting} messages ready; expires {_moment(record.message.expires_at)} if not begun",
        )
    if record.lease_expires_at is not None:
        end = "" if report.leased else ": no worker renews it, so its worker is gone or stuck"
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
