"""Views of the queues and of the whole system."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Literal

from pydantic import AwareDatetime
from starlette.requests import Request

from services.api.core.model_queue import ModelQueue
from services.api.http.job_views import EtaView
from services.api.http.problem_views import DependenciesView
from services.api.http.state import AppState
from services.api.http.view import View
from services.common.errors import BackendUnavailable
from services.common.presence import Phase, Presence


class WorkersView(View):
    """The model's workers by phase. A disconnected one does not reach the queue at the moment.

    One that serves several models counts for each, as unavailable for a model that it cannot load.
    """

    loading: int
    ready: int
    busy: int
    disconnected: int
    draining: int
    unavailable: int


class ModelQueueView(View):
    """`depth` jobs wait; `eta_seconds` is for a job with the model's defaults, submitted now."""

    model: str
    depth: int
    running: int
    oldest_age_seconds: float | None
    workers: WorkersView
    eta_seconds: EtaView | None


class QueueListView(View):
    """One entry a model."""

    object: Literal["list"] = "list"
    data: tuple[ModelQueueView, ...]


class WorkerView(View):
    """One of the models of a worker, its phase and the time since it began.

    A worker that serves several models has an entry for each. Up to `max_batch` images share one of its calls.
    """

    id: str
    model: str
    phase: Phase
    since: AwareDatetime
    max_batch: int


class StatusView(View):
    """`queues` is null where they cannot be read; `workers` are those that reported in the last seconds."""

    version: str
    at: AwareDatetime
    dependencies: DependenciesView
    queues: tuple[ModelQueueView, ...] | None
    workers: tuple[WorkerView, ...] | None


async def system_status(request: Request[AppState]) -> StatusView:
    """Return the state of backends, queues and workers; a part that does not answer is null or unavailable."""
    states, queues = await asyncio.gather(request.state["health"].states(), _queues(request))
    present = None if queues is None else [worker for queue in queues for worker in queue.workers]
    return StatusView(
        version=version("commercial-studio-photos-generator"),
        at=datetime.now(UTC),
        dependencies=DependenciesView.model_validate(states),
        queues=None if queues is None else tuple(queue_view(queue) for queue in queues),
        workers=None if present is None else _workers(present),
    )


def queue_view(queue: ModelQueue) -> ModelQueueView:
    """Return the view of one model's queue."""
    eta, oldest = queue.eta(), queue.oldest_seconds
    phases: Counter[str] = Counter(worker.phase for worker in queue.workers)
    return ModelQueueView(
        model=queue.model.name,
        depth=queue.queued,
        running=queue.running,
        oldest_age_seconds=None if oldest is None else round(oldest, 1),
        workers=WorkersView(**{phase: phases[phase] for phase in WorkersView.model_fields}),
        eta_seconds=EtaView.of(eta) if eta else None,
    )


async def _queues(request: Request[AppState]) -> list[ModelQueue] | None:
    try:
        return list((await request.state["positions"].queues()).values())
    except BackendUnavailable:
        return None


def _workers(present: Iterable[Presence]) -> tuple[WorkerView, ...]:
    def shown(worker: Presence) -> WorkerView:
        since = datetime.fromtimestamp(worker.since, UTC)
        return WorkerView(
            id=worker.worker_id, model=worker.model, phase=worker.phase, since=since, max_batch=worker.max_batch
        )

    return tuple(sorted(map(shown, present), key=lambda worker: (worker.model, worker.id)))
