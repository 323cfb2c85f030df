"""What is known of one job, wherever it is known: for `studio job`."""

from dataclasses import dataclass
from typing import Any, Final, Self

from services.common.backends import Backends, open_backends
from services.common.errors import JobNotFound, JobRemoved, StatusRebuilding
from services.common.ids import created_at, is_job_id
from services.common.manifests import Manifests
from services.common.schemas import StatusRecord
from services.common.settings import Settings

LETTERS: Final = 1000  # dead letters that are looked through


@dataclass(frozen=True)
class Case:
    """`source` says where the record is from: statuses or manifest. Times in Unix seconds."""

    job_id: str
    record: StatusRecord | None = None
    source: str | None = None
    removed_at: float | None = None
    rebuilding: bool = False  # the status store was emptied after the job was made: its message may still be queued
    waiting: int | None = None  # messages ready in its model's queue, where it waits
    dead_letters: tuple[str, ...] = ()  # ids of its messages among them

    @property
    def found(self) -> bool:
        return self.record is not None or self.removed_at is not None or self.rebuilding

    @classmethod
    async def of(cls, backends: Backends, job_id: str) -> Self:
        """Raises BackendUnavailable."""
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
        return cls(job_id, record, source, waiting=waiting, dead_letters=await _letters(backends, record))

    def as_json(self) -> dict[str, Any]:
        """Everything, as it is stored."""
        record = self.record.model_dump(mode="json") if self.record else None
        made = created_at(self.job_id) if is_job_id(self.job_id) else None
        known = {"id": self.job_id, "made_at": made, "source": self.source, "record": record}
        found = {"removed_at": self.removed_at, "rebuilding": self.rebuilding, "waiting": self.waiting}
        return {**known, **found, "dead_letters": list(self.dead_letters)}


async def read_case(settings: Settings, job_id: str) -> Case:
    """Raises BackendUnavailable."""
    async with open_backends(settings) as backends:
        return await Case.of(backends, job_id)


async def _letters(backends: Backends, record: StatusRecord) -> tuple[str, ...]:
    """Looked for only where there may be one: looking holds them back from others for a moment."""
    if record.error is None or record.error.code not in ("poison", "invalid-message"):
        return ()
    letters = await backends.broker.dead_letters(LETTERS)
    return tuple(letter.message_id for letter in letters if record.job_id.encode() in letter.body)
