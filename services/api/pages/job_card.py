"""The card that shows a job to people: the words for its state, its progress and what it made."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from services.api.core.formats.file_format import formats_of
from services.api.core.job_summary import JobSummary
from services.api.core.queue_positions import Place
from services.api.http.artifact_views import artifact_path
from services.api.pages.card_facts import CardFacts, CardFile
from services.api.pages.eta_words import eta_words
from services.api.pages.media_words import MediaWords, words_of
from services.common.catalogue.catalogue import Catalogue
from services.common.modalities.modality import Media
from services.common.modalities.registry import modalities
from services.common.schemas import Artifact, Progress, State, StatusRecord

QUARTER: Final = 25  # percent between two announcements to a screen reader
PHASE_TITLES: Final = {"queued": "In line", "loading": "Warming up", "generating": "Generating", "saving": "Saving"}

_HEADLINES: Final = {
    State.SUCCEEDED: "Ready",
    State.FAILED: "This {thing} did not work out",
    State.CANCELED: "Canceled",
    State.EXPIRED: "Waited too long",
}
_DETAILS: Final = {
    State.FAILED: "The model could not make it.",
    State.CANCELED: "It was canceled before it was done.",
    State.EXPIRED: "No worker was free in time, so no {thing} was made.",
}


_SPELLED: Final = {"webp": "WebP", "opus": "Opus", "webm": "WebM"}


@dataclass(frozen=True)
class CardArtifact:
    """A stored file. `text` is its content where that is a text, None where it cannot be read just now."""

    artifact: Artifact
    url: str
    text: str | None = None

    @property
    def media(self) -> Media | None:
        """The kind of file; None for one that cannot be shown."""
        found = formats_of(self.artifact)
        return found[0].media if found else None

    @property
    def formats(self) -> Sequence[tuple[str, str]]:
        """The formats that it can be had in: the name in an address, and the one that people read."""
        return [(each.name, _SPELLED.get(each.name, each.name.upper())) for each in formats_of(self.artifact)]


@dataclass(frozen=True)
class JobCard:
    """`poll_seconds` is None once the job is over; `percent` is None while no step has been reported.

    `phase` is one of PHASE_TITLES, None once it is over. `facts` are what was asked for, each with its title, and
    `files` what it is made from; `frame` is the width and height of images to come, which keep their room so that
    nothing jumps. `settings` is the body of `POST /v1/jobs` that makes the same again. A screen reader says
    `announcement`, so it changes with the state and every 25 %, not at each step.
    """

    job: StatusRecord
    words: MediaWords
    title: str
    look: str | None
    swatch: str
    headline: str
    detail: str
    announcement: str
    phase: str | None
    settings: str
    facts: tuple[tuple[str, str], ...]
    files: tuple[CardFile, ...]
    frame: tuple[int, int]
    count: int
    notes: str
    percent: int | None
    poll_seconds: float | None
    previews: tuple[str, ...]
    artifacts: tuple[CardArtifact, ...]

    @classmethod
    def of(
        cls,
        job: StatusRecord,
        catalogue: Catalogue,
        poll_seconds: float,
        place: Place | None = None,
        texts: Mapping[int, str] | None = None,
    ) -> Self:
        """Build the card; `place` is a queued job's place in the queue, None when it is unknown.

        `texts` has the content of artifacts that are texts, by their index.
        """
        params = job.message.params
        contract = modalities().get(job.message.modality)
        facts, words = CardFacts.of(job.message, contract), words_of(contract)
        style = catalogue.styles.get(facts.style or "")
        summary = JobSummary(job, place)
        headline, detail = _words(summary, words.thing)
        percent = summary.percent if summary.phase in ("generating", "saving") else None
        model = catalogue.models.get(job.message.model)
        return cls(
            job=job,
            words=words,
            title=facts.title,
            look=style.title if style else "As described" if facts.framed else None,
            swatch=style.swatch if style else "#a9a39a",
            headline=headline,
            detail=detail,
            announcement=headline if not percent else f"{headline}: {percent // QUARTER * QUARTER} % done",
            phase=summary.phase,
            settings=json.dumps({"model": job.message.model, **params}, indent=2, ensure_ascii=False),
            facts=facts.told,
            files=facts.files,
            frame=facts.frame,
            count=facts.count,
            notes=model.notes if model else "",
            percent=percent,
            poll_seconds=summary.next_poll(poll_seconds),
            previews=_previews(summary, facts.count),
            artifacts=tuple(
                CardArtifact(each, artifact_path(job.job_id, each), (texts or {}).get(each.index))
                for each in job.artifacts
            ),
        )

    @property
    def live(self) -> bool:
        return not self.job.state.terminal

    @property
    def shape(self) -> str:
        width, height = self.frame
        return "square" if width == height else "portrait" if width < height else "landscape"

    @property
    def seconds(self) -> float | None:
        """The time from the beginning of the last attempt to the end."""
        job = self.job
        return None if job.started_at is None or job.finished_at is None else max(0.0, job.finished_at - job.started_at)


def _previews(summary: JobSummary, count: int) -> tuple[str, ...]:
    job, shown = summary.record, summary.previews
    urls = (f"/v1/jobs/{job.job_id}/preview?index={index}&at={shown}" for index in range(count))
    return tuple(urls) if shown else ()


def _words(summary: JobSummary, thing: str) -> tuple[str, str]:
    job = summary.record
    if job.state.terminal:
        detail = job.error.message if job.error else _DETAILS.get(job.state, "").format(thing=thing)
        return _HEADLINES[job.state].format(thing=thing), detail
    if job.cancel_requested:
        return "Canceling", "It stops at the next step."
    return ("In line", _line(summary.place)) if summary.phase == "queued" else _running(summary.progress, thing)


def _line(place: Place | None) -> str:
    if place is None:
        return "Waiting for a free worker."
    ahead = f"{place.position} ahead of yours" if place.position else "Yours is next"
    return ", ".join(part for part in (ahead, eta_words(place.eta)) if part) + "."


def _running(progress: Progress | None, thing: str) -> tuple[str, str]:
    if progress is None:
        return "Starting", "A worker has taken it from the queue."
    if progress.phase == "loading":
        return "Warming up the model", f"The first {thing} after a start takes longer."
    if progress.phase == "saving":
        return "Saving", "It is made, and is being stored."
    return "Generating", f"Step {progress.step} of {progress.total}" if progress.total else "At the first step."
