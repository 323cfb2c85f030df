"""What the job page shows of a job: the words for its state, how far it is, its pictures and what can be done."""

from dataclasses import dataclass
from typing import Final, Self

from services.api.jobs import QUEUED_POLL_FACTOR
from services.api.line import Place
from services.common.catalogue import Catalogue
from services.common.params import Modality
from services.common.schemas import Artifact, Progress, State, StatusRecord

QUARTER = 25  # percent between two announcements to a screen reader

_HEADLINES: Final = {
    State.SUCCEEDED: "Ready",
    State.FAILED: "This photo did not work out",
    State.CANCELED: "Canceled",
    State.EXPIRED: "Nobody got to it in time",
}
_DETAILS: Final = {
    State.FAILED: "The model could not draw it.",
    State.CANCELED: "It was stopped before it was done.",
    State.EXPIRED: "The line was too long. Nothing was drawn.",
}


@dataclass(frozen=True)
class Picture:
    artifact: Artifact
    url: str


@dataclass(frozen=True)
class JobCard:
    """`poll_seconds` is None once the job is over; `percent` is None while there is nothing to measure.

    `announcement` is what a screen reader says, so it changes with the state and every 25 %, not at each step.
    """

    job: StatusRecord
    product: str
    look: str
    swatch: str
    headline: str
    detail: str
    announcement: str
    percent: int | None
    poll_seconds: float | None
    pictures: tuple[Picture, ...]

    @classmethod
    def of(cls, job: StatusRecord, catalogue: Catalogue, poll_seconds: float, place: Place | None = None) -> Self:
        """`place` is a queued job's, None when it is not known."""
        params = job.message.params
        style = catalogue.styles.get(str(params.get("style")))
        product = str(params.get("prompt") or params.get("text") or job.message.modality)
        headline, detail = _words(job, place)
        percent = _percent(job)
        factor = QUEUED_POLL_FACTOR if job.state is State.QUEUED else 1
        return cls(
            job=job,
            product=product,
            look=style.title if style else "As described",
            swatch=style.swatch if style else "#a9a39a",
            headline=headline,
            detail=detail,
            announcement=headline if not percent else f"{headline}: {percent // QUARTER * QUARTER} % done",
            percent=percent,
            poll_seconds=None if job.state.terminal else poll_seconds * factor,
            pictures=tuple(Picture(each, f"/v1/jobs/{job.job_id}/artifacts/{each.index}") for each in job.artifacts),
        )

    @property
    def live(self) -> bool:
        return not self.job.state.terminal

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height of the picture to come, so that nothing jumps when it does."""
        params = self.job.message.params
        return int(params.get("width") or 1), int(params.get("height") or 1)

    @property
    def shape(self) -> str:
        width, height = self.frame
        return "square" if width == height else "portrait" if width < height else "landscape"

    @property
    def count(self) -> int:
        return int(self.job.message.params.get("num_images", 1))

    @property
    def editable(self) -> bool:
        return self.job.message.modality is Modality.TXT2IMG

    @property
    def seconds(self) -> float | None:
        """From the beginning of the last attempt to the end."""
        job = self.job
        return None if job.started_at is None or job.finished_at is None else max(0.0, job.finished_at - job.started_at)


def _words(job: StatusRecord, place: Place | None) -> tuple[str, str]:
    if job.state.terminal:
        return _HEADLINES[job.state], job.error.message if job.error else _DETAILS.get(job.state, "")
    if job.cancel_requested:
        return "Stopping", "It ends at the next step."
    if job.state is State.QUEUED:
        return _phase(Progress(phase="loading")) if place and place.loading else ("In line", _line(place))
    return _phase(job.progress)


def _line(place: Place | None) -> str:
    if place is None:
        return "Waiting for a free worker."
    return f"{place.position} ahead of yours." if place.position else "Yours is next."


def _phase(progress: Progress | None) -> tuple[str, str]:
    if progress is None:
        return "Setting up", "A worker has taken it."
    if progress.phase == "loading":
        return "Warming up the model", "The first photo after a start takes longer."
    if progress.phase == "saving":
        return "Saving", "The last step."
    return "Developing", f"Step {progress.step} of {progress.total}" if progress.total else "The first step."


def _percent(job: StatusRecord) -> int | None:
    progress = job.progress
    if job.state is not State.RUNNING or progress is None or progress.phase == "loading" or not progress.total:
        return None
    return min(100, 100 * progress.step // progress.total)
