"""What clients see of the whole system."""

from pydantic import AwareDatetime

from services.api.http.problem_views import DependenciesView
from services.api.http.queue_views import ModelQueueView
from services.api.http.view import View
from services.common.presence import Phase


class WorkerView(View):
    """One worker: what it has been at, and since when. `max_batch` pictures share one of its calls."""

    id: str
    model: str
    phase: Phase
    since: AwareDatetime
    max_batch: int


class StatusView(View):
    """`queues` is null where they cannot be looked at; `workers` are those heard of in the last seconds."""

    version: str
    at: AwareDatetime
    dependencies: DependenciesView
    queues: tuple[ModelQueueView, ...] | None
    workers: tuple[WorkerView, ...] | None
