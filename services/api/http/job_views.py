"""A job in JSON: times as ISO 8601 in UTC, links to follow, and nothing about its storage."""

import math
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from pydantic import AwareDatetime, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema

from services.api.core.job_summary import JobSummary
from services.api.core.model_queue import Eta
from services.api.core.queue_positions import Place
from services.api.http.artifact_views import ArtifactView, artifact_path
from services.api.http.base_path import base_path
from services.api.http.view import View
from services.common.modalities.registry import modalities
from services.common.schemas import JobError, JobWarning, State, StatusRecord
from services.common.settings import Settings


class ProgressView(View):
    """`phase` is loading, generating or saving; `step` of `total` over all images; `percent` from 0 to 100."""

    phase: str
    step: int
    total: int
    percent: int

    @classmethod
    def of(cls, summary: JobSummary) -> Self | None:
        """Return None before the first progress."""
        progress = summary.progress
        if progress is None:
            return None
        return cls(phase=progress.phase, step=progress.step, total=progress.total, percent=summary.percent or 0)


class EtaView(View):
    """Seconds from now until the job is expected to finish, at best and at worst."""

    low: float
    high: float

    @classmethod
    def of(cls, eta: Eta) -> Self:
        return cls(low=eta.low, high=eta.high)


class QueueView(View):
    """`position` is the number of jobs ahead, which never grows; `eta_seconds` is null where it is unknown."""

    position: int
    eta_seconds: EtaView | None

    @classmethod
    def of(cls, place: Place) -> Self:
        return cls(position=place.position, eta_seconds=EtaView.of(place.eta) if place.eta else None)


class ErrorView(View):
    """The reason why the job did not succeed; `type` resolves to the meaning of the code."""

    code: str
    message: str
    retryable: bool
    type: str

    @classmethod
    def of(cls, error: JobError, base: str) -> Self:
        return cls(type=f"{base}/problems/{error.code}", **error.model_dump())


class WarningView(View):
    """A part of the request that was not done, although the job ran. /problems/CODE has the meaning of the code."""

    code: str
    message: str

    @classmethod
    def of(cls, warning: JobWarning) -> Self:
        return cls(**warning.model_dump())


class MetricsView(View):
    """Seconds from the submit to the begin of the last attempt, and from there to the end."""

    queue_seconds: float | None
    run_seconds: float | None


class LinksView(View):
    """`page` is for people; `cancel` takes a POST, null once the job is over; `preview` is null while there is none."""

    self: str
    cancel: str | None
    page: str
    artifacts: str
    preview: str | None


class _ParamsOfAnyModel:
    """Documents the members of `params` without checking them again: they were checked when the job was made."""

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return handler(
            core_schema.union_schema([each.params.__pydantic_core_schema__ for each in modalities().values()])
        )


class JobView(View):
    """A job not begun by `expires_at` expires; `attempt` counts how often it was begun.

    `queue` is there while the job waits, and null where its place is unknown. `warnings` name the parts of the request
    that were not done; there are none before the job is over.
    """

    id: str
    state: State
    model: str
    modality: str
    created_at: AwareDatetime
    started_at: AwareDatetime | None
    finished_at: AwareDatetime | None
    expires_at: AwareDatetime
    attempt: int
    params: Annotated[dict[str, Any], _ParamsOfAnyModel()]
    queue: QueueView | None
    progress: ProgressView | None
    artifacts: tuple[ArtifactView, ...]
    error: ErrorView | None
    warnings: tuple[WarningView, ...]
    metrics: MetricsView
    links: LinksView

    @classmethod
    def of(cls, record: StatusRecord, public_url: str | None = None, place: Place | None = None) -> Self:
        """Links begin with `public_url`, else they are relative: a client can put any name into the Host header."""
        base, summary = (public_url or "").rstrip("/"), JobSummary(record, place)
        job = f"{base}/v1/jobs/{record.job_id}"
        return cls(
            id=record.job_id,
            state=record.state,
            model=record.message.model,
            modality=record.message.modality,
            created_at=_moment(record.created_at),
            started_at=_moment(record.started_at) if record.started_at else None,
            finished_at=_moment(record.finished_at) if record.finished_at else None,
            expires_at=_moment(record.message.expires_at),
            attempt=record.attempt,
            params=record.message.params,
            queue=QueueView.of(place) if place else None,
            progress=ProgressView.of(summary),
            artifacts=tuple(
                ArtifactView.of(artifact, base + artifact_path(record.job_id, artifact))
                for artifact in record.artifacts
            ),
            error=ErrorView.of(record.error, base_path(public_url)) if record.error else None,
            warnings=tuple(WarningView.of(warning) for warning in record.warnings),
            metrics=_metrics(record),
            links=LinksView(
                self=job,
                cancel=None if record.state.terminal else f"{job}/cancel",
                page=f"{base}/jobs/{record.job_id}",
                artifacts=f"{job}/artifacts",
                preview=f"{job}/preview?at={summary.previews}" if summary.previews else None,
            ),
        )


class JobPageView(View):
    """Jobs, the newest first. `next_cursor` asks for the next, older page; null on the last page."""

    object: Literal["list"] = "list"
    data: tuple[JobView, ...]
    next_cursor: str | None


def poll_headers(record: StatusRecord, settings: Settings) -> dict[str, str]:
    """Return Retry-After in whole seconds, as HTTP wants them; nothing for a job that is over."""
    seconds = JobSummary(record).next_poll(settings.poll_seconds)
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _metrics(record: StatusRecord) -> MetricsView:
    """Use recorded times only: the JSON, and with it the ETag, changes with the record and its place alone."""
    started, finished = record.started_at, record.finished_at
    return MetricsView(
        queue_seconds=None if started is None else round(max(0.0, started - record.created_at), 3),
        run_seconds=None if started is None or finished is None else round(max(0.0, finished - started), 3),
    )
