"""What clients see of the queues."""

from typing import Literal

from services.api.http.job_views import EtaView
from services.api.http.view import View


class WorkersView(View):
    """How many workers of the model are at what; a disconnected one does not reach the queue just now."""

    loading: int
    ready: int
    busy: int
    disconnected: int
    draining: int


class ModelQueueView(View):
    """`depth` jobs wait; `eta_seconds` is for a job with the model's defaults submitted now."""

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
