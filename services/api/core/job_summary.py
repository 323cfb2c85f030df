"""How far a job is, decided once for the JSON of the API and for the page: phase, percent, next poll, previews."""

from dataclasses import dataclass
from typing import Final, Literal

from services.api.core.queue_positions import Place
from services.common.schemas import Progress, State, StatusRecord

QUEUED_POLL_FACTOR: Final = 2  # a queued job moves less often than a running one

Phase = Literal["queued", "loading", "generating", "saving"]


@dataclass(frozen=True)
class JobSummary:
    """`place` is a queued job's; None for any other, and where it is not known."""

    record: StatusRecord
    place: Place | None = None

    @property
    def live(self) -> bool:
        return not self.record.state.terminal

    @property
    def phase(self) -> Phase | None:
        """A queued job whose model is only being loaded is loading. None once the job is over."""
        match self.record.state:
            case State.QUEUED:
                return "loading" if self.place and self.place.loading else "queued"
            case State.RUNNING:
                return self.record.progress.phase if self.record.progress else "loading"
        return None

    @property
    def progress(self) -> Progress | None:
        """The progress that a worker reported last; a job that waits for its model to load counts as loading."""
        return Progress(phase="loading") if self.place and self.place.loading else self.record.progress

    @property
    def percent(self) -> int | None:
        """Finished steps of all steps, 0 to 100; None while the number of steps is not known."""
        progress = self.progress
        return min(100, 100 * progress.step // progress.total) if progress and progress.total else None

    @property
    def previews(self) -> int:
        """The number of previews shown so far; 0 unless the job is running."""
        running = self.record.state is State.RUNNING
        return self.record.progress.previews if running and self.record.progress else 0

    def next_poll(self, poll_seconds: float) -> float | None:
        """Return seconds until the next poll, where a running job is polled every `poll_seconds`; None once over."""
        if not self.live:
            return None
        return poll_seconds * (QUEUED_POLL_FACTOR if self.record.state is State.QUEUED else 1)
