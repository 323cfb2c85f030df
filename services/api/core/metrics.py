"""The gateway's metrics: its own requests and submissions, and the state of the queues at each scrape."""

import math
from collections.abc import Mapping
from typing import Final

from prometheus_client import Gauge

from services.api.core.model_queue import ModelQueue
from services.common.errors import (
    BackendUnavailable,
    LimitReached,
    PublishUnconfirmed,
    QueueFull,
    StudioError,
    Unroutable,
)
from services.common.presence import PHASES
from services.common.telemetry.process_metrics import ProcessMetrics

# Looked up along the class hierarchy, as in problems.py.
_REFUSALS: Final[Mapping[type[BaseException], str]] = {
    QueueFull: "full",
    Unroutable: "unroutable",
    PublishUnconfirmed: "unconfirmed",
    BackendUnavailable: "unavailable",
    LimitReached: "limited",
    StudioError: "conflict",  # of Idempotency-Keys
}


class Metrics(ProcessMetrics):
    """A `SubmissionObserver`. Every gateway counts its own requests; all gateways report the same queues."""

    def __init__(self) -> None:
        super().__init__()
        self._submissions = self.counter("studio_jobs_submitted", "Jobs asked for, valid ones", "model", "outcome")
        self.requests = self.histogram("studio_http_request_seconds", "HTTP requests", "method", "route", "status")
        self.expired = self.counter("studio_jobs_expired", "Jobs that no worker took in time", "model")
        self._sweeps = self.counter("studio_sweeps", "Sweeps that complete what a crash cut short", "outcome")
        self._left_out = self._gauge("studio_sweep_left_out", "Jobs and removals that the last sweep left out")
        self._depth = self._gauge("studio_queue_depth", "Jobs that wait", "model")
        self._running = self._gauge("studio_jobs_running", "Jobs that are being made", "model")
        self._oldest = self._gauge("studio_oldest_job_age_seconds", "Age of the job that waits longest", "model")
        self._workers = self._gauge("studio_workers", "Workers heard of lately, by phase", "model", "phase")
        self._dead_letters = self._gauge("studio_dead_letters", "Messages among the dead letters")
        self.connections = self._gauge("studio_connections", "Connections of clients that are open")
        self.connections_over_limit = self.counter(
            "studio_connections_over_limit", "New connections while as many as possible were open", "outcome"
        )

    def accepted(self, model: str) -> None:
        """Count a job that was taken."""
        self._submissions.labels(model, "accepted").inc()

    def replayed(self, model: str) -> None:
        """Count a request that repeats an earlier one and got that one's job."""
        self._submissions.labels(model, "replayed").inc()

    def refused(self, model: str, reason: StudioError) -> None:
        """Count a valid job that was not taken, by the reason."""
        outcome = next(_REFUSALS[cls] for cls in type(reason).__mro__ if cls in _REFUSALS)
        self._submissions.labels(model, outcome).inc()

    def swept(self, outcome: str, left_out: int) -> None:
        """Count a sweep; `left_out` are the items that it could not do."""
        self._sweeps.labels(outcome).inc()
        self._left_out.set(left_out)

    def see(self, queues: Mapping[str, ModelQueue], dead_letters: int) -> None:
        """Set the gauges of the queues."""
        for model, queue in queues.items():
            self._depth.labels(model).set(queue.queued)
            self._running.labels(model).set(queue.running)
            self._oldest.labels(model).set(queue.oldest_seconds or 0)
            for phase in PHASES:
                self._workers.labels(model, phase).set(sum(worker.phase == phase for worker in queue.workers))
        self._dead_letters.set(dead_letters)

    def see_nothing(self) -> None:
        """Clear the gauges: while the backends do not answer, no figure is better than an old one."""
        for gauge in (self._depth, self._running, self._oldest, self._workers):
            gauge.clear()
        self._dead_letters.set(math.nan)

    def _gauge(self, name: str, documentation: str, *labels: str) -> Gauge:
        return Gauge(name, documentation, labels, registry=self.registry)
