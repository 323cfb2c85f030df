"""The card that shows a job to people: the words for its state, its progress and its images."""

import json
from dataclasses import dataclass
from typing import Final, Self

from services.api.core.queue_positions import Place
from services.api.http.job_views import QUEUED_POLL_FACTOR, previews_of
from services.api.pages.eta_words import eta_words
from services.common.catalogue import Catalogue
from services.common.schemas import Artifact, Progress, State, StatusRecord

QUARTER: Final = 25  # percent between two announcements to a screen reader
PHASES: Final = {"queued": "In line", "loading": "Warming up", "generating": "Generating", "saving": "Saving"}

_HEADLINES: Final = {
    State.SUCCEEDED: "Ready",
    State.FAILED: "This photo did not work out",
    State.CANCELED: "Canceled",
    State.EXPIRED: "Waited too long",
}
_DETAILS: Final = {
    State.FAILED: "The model could not make it.",
    State.CANCELED: "It was canceled before it was done.",
    State.EXPIRED: "No worker was free in time, so no photo was made.",
}


@dataclass(frozen=True)
class Picture:
    artifact: Artifact
    url: str


@dataclass(frozen=True)
class JobCard:
    """`poll_seconds` is None once the job is over; `percent` is None while no step has been reported.

    `phase` is one of PHASES, None once the job is over. `settings` is the body of `POST /v1/jobs` that makes the same
    again. A screen reader says `announcement`, so it changes with the state and every 25 %, not at each step.
    """

    job: StatusRecord
    product: str
    look: str
    swatch: str
    headline: str
    detail: str
    announcement: str
    phase: str | None
    settings: str
    notes: str
    percent: int | None
    poll_seconds: float | None
    pictures: tuple[Picture, ...]

    @classmethod
    def of(cls, job: StatusRecord, catalogue: Catalogue, poll_seconds: float, place: Place | None = None) -> Self:
        """Build the card; `place` is a queued job's place in the queue, None when it is unknown."""
        params = job.message.params
        style = catalogue.styles.get(str(params.get("style")))
        product = str(params.get("prompt") or params.get("text") or job.message.modality)
        headline, detail = _words(job, place)
        percent = _percent(job)
        model = catalogue.models.get(job.message.model)
        factor = QUEUED_POLL_FACTOR if job.state is State.QUEUED else 1
        return cls(
            job=job,
            product=product,
            look=style.title if style else "As described",
            swatch=style.swatch if style else "#a9a39a",
            headline=headline,
            detail=detail,
            announcement=headline if not percent else f"{headline}: {percent // QUARTER * QUARTER} % done",
            phase=_phase_of(job, place),
            settings=json.dumps({"model": job.message.model, **params}, indent=2, ensure_ascii=False),
            notes=model.notes if model else "",
            percent=percent,
            poll_seconds=None if job.state.terminal else poll_seconds * factor,
            pictures=tuple(Picture(each, f"/v1/jobs/{job.job_id}/artifacts/{each.index}") for each in job.artifacts),
        )

    @property
    def previews(self) -> tuple[str, ...]:
        """The URLs of each image's newest preview; empty before the first."""
        shown = previews_of(self.job)
        urls = (f"/v1/jobs/{self.job.job_id}/preview?index={index}&at={shown}" for index in range(self.count))
        return tuple(urls) if shown else ()

    @property
    def live(self) -> bool:
        return not self.job.state.terminal

    @property
    def frame(self) -> tuple[int, int]:
        """Width and height of the images to come, which keep their room so that nothing jumps."""
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
    def seconds(self) -> float | None:
        """The time from the beginning of the last attempt to the end."""
        job = self.job
        return None if job.started_at is None or job.finished_at is None else max(0.0, job.finished_at - job.started_at)


def _words(job: StatusRecord, place: Place | None) -> tuple[str, str]:
    if job.state.terminal:
        return _HEADLINES[job.state], job.error.message if job.error else _DETAILS.get(job.state, "")
    if job.cancel_requested:
        return "Canceling", "It stops at the next step."
    if job.state is State.QUEUED:
        return _running(Progress(phase="loading")) if place and place.loading else ("In line", _line(place))
    return _running(job.progress)


def _line(place: Place | None) -> str:
    if place is None:
        return "Waiting for a free worker."
    ahead = f"{place.position} ahead of yours" if place.position else "Yours is next"
    return ", ".join(part for part in (ahead, eta_words(place.eta)) if part) + "."


def _phase_of(job: StatusRecord, place: Place | None) -> str | None:
    if job.state is State.QUEUED:
        return "loading" if place and place.loading else "queued"
    if job.state.terminal:
        return None
    return job.progress.phase if job.progress else "loading"


def _running(progress: Progress | None) -> tuple[str, str]:
    if progress is None:
        return "Starting", "A worker has taken it from the queue."
    if progress.phase == "loading":
        return "Warming up the model", "The first photo after a start takes longer."
    if progress.phase == "saving":
        return "Saving", "It is made, and is being stored."
    return "Generating", f"Step {progress.step} of {progress.total}" if progress.total else "At the first step."


def _percent(job: StatusRecord) -> int | None:
    progress = job.progress
    if job.state is not State.RUNNING or progress is None or progress.phase == "loading" or not progress.total:
        return None
    return min(100, 100 * progress.step // progress.total)
