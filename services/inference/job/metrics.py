"""The metrics of a worker, in Prometheus' terms, for its /metrics."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from prometheus_client import Gauge, Histogram

from services.common.ports import Outcome, Verdict
from services.common.schemas import JobMessage
from services.common.telemetry.process_metrics import ProcessMetrics
from services.inference.job.gpu_memory import GpuMemory
from services.inference.runtime.stages import Stage


class Metrics(ProcessMetrics):
    """All figures are of the one model that the worker serves."""

    def __init__(self, model: str) -> None:
        super().__init__()
        self._model = model
        self.calls = self.counter("studio_pipeline_calls", "Calls of the model adapter", "model").labels(model)
        self._made = self.counter("studio_outputs_made", "Outputs computed", "model").labels(model)
        self.batch_size = Histogram(
            "studio_batch_size",
            "Items in one call of the model adapter",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self.registry,
        ).labels(model)
        self._call_seconds = self.histogram(
            "studio_pipeline_call_seconds", "Calls of the model adapter that succeeded", "model"
        ).labels(model)
        self.dead_letters = self.counter(
            "studio_jobs_dead_lettered", "Messages put to the dead letters", "model"
        ).labels(model)
        self._attempts = self.counter("studio_job_attempts", "Attempts, by what `begin` said", "model", "verdict")
        self._finished = self.counter("studio_jobs_finished", "Jobs this worker ended", "model", "outcome", "code")
        self._queue_seconds = self.histogram(
            "studio_job_queue_seconds", "From the request to the first attempt", "model"
        ).labels(model)
        self._run_seconds = self.histogram(
            "studio_job_run_seconds", "From the beginning of the last attempt to the end", "model"
        ).labels(model)
        self._stages = self.histogram("studio_stage_seconds", "Stages of calls and of jobs", "model", "stage")
        self._ready = self._gauge("studio_worker_ready", "Whether the model is loaded and jobs are asked for")
        self._busy = self._gauge("studio_worker_busy", "Whether a call of the model adapter is under way")
        self.registry.register(GpuMemory())

    def watch(self, consuming: Callable[[], bool], busy: Callable[[], bool]) -> None:
        """Read both at every scrape, in another thread."""
        self._ready.set_function(consuming)
        self._busy.set_function(busy)

    def begun(self, message: JobMessage, verdict: Verdict, *, first: bool) -> None:
        self._attempts.labels(self._model, verdict.name.lower()).inc()
        if first and verdict is Verdict.HELD:
            self._queue_seconds.observe(max(0.0, time.time() - message.created_at))

    def finished(self, outcome: Outcome, run_seconds: float) -> None:
        code = outcome.error.code if outcome.error else ""
        self._finished.labels(self._model, outcome.state.value, code).inc()
        self._run_seconds.observe(run_seconds)

    def called(self, outputs: int, seconds: float, stages: Sequence[Stage]) -> None:
        """Count a call of the model adapter that succeeded."""
        self._made.inc(outputs)
        self._call_seconds.observe(seconds)
        for stage in stages:
            self._stages.labels(self._model, stage.name).observe(stage.seconds)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(name, documentation, ["model"], registry=self.registry).labels(self._model)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as a stage. A stage that raises is not counted."""
        begin = time.perf_counter()
        yield
        self._stages.labels(self._model, name).observe(time.perf_counter() - begin)
