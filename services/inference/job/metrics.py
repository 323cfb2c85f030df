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
    """The figures of one worker. Each but those of the process has the label `model`; `of` gives those of one model."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.counter("studio_pipeline_calls", "Calls of the model adapter", "model")
        self.made = self.counter("studio_outputs_made", "Outputs computed", "model")
        self.batch_size = Histogram(
            "studio_batch_size",
            "Items in one call of the model adapter",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self.registry,
        )
        self.call_seconds = self.histogram(
            "studio_pipeline_call_seconds", "Calls of the model adapter that succeeded", "model"
        )
        self.dead_letters = self.counter("studio_jobs_dead_lettered", "Messages put to the dead letters", "model")
        self.attempts = self.counter("studio_job_attempts", "Attempts, by what `begin` said", "model", "verdict")
        self.finished = self.counter("studio_jobs_finished", "Jobs this worker ended", "model", "outcome", "code")
        self.queue_seconds = self.histogram(
            "studio_job_queue_seconds", "From the request to the first attempt", "model"
        )
        self.run_seconds = self.histogram(
            "studio_job_run_seconds", "From the beginning of the last attempt to the end", "model"
        )
        self.stages = self.histogram("studio_stage_seconds", "Stages of calls and of jobs", "model", "stage")
        self.ready = self._gauge("studio_worker_ready", "Whether jobs of the model are asked for")
        self.busy = self._gauge("studio_worker_busy", "Whether a call of the model adapter is under way")
        self.loaded = self._gauge("studio_model_loaded", "Whether the model is in the worker's memory")
        self.registry.register(GpuMemory())

    def of(self, model: str) -> "ModelMetrics":
        return ModelMetrics(self, model)

    def _gauge(self, name: str, documentation: str) -> Gauge:
        return Gauge(name, documentation, ["model"], registry=self.registry)


class ModelMetrics:
    """The figures of one model that the worker serves."""

    def __init__(self, metrics: Metrics, model: str) -> None:
        self._metrics, self._model = metrics, model
        self.calls = metrics.calls.labels(model)
        self.batch_size = metrics.batch_size.labels(model)
        self.dead_letters = metrics.dead_letters.labels(model)
        self._made = metrics.made.labels(model)
        self._call_seconds = metrics.call_seconds.labels(model)
        self._queue_seconds = metrics.queue_seconds.labels(model)
        self._run_seconds = metrics.run_seconds.labels(model)
        for gauge in (metrics.ready, metrics.busy, metrics.loaded):
            gauge.labels(model)

    def watch(self, ready: Callable[[], bool], busy: Callable[[], bool], loaded: Callable[[], bool]) -> None:
        """Read all three at every scrape, in another thread."""
        self._metrics.ready.labels(self._model).set_function(ready)
        self._metrics.busy.labels(self._model).set_function(busy)
        self._metrics.loaded.labels(self._model).set_function(loaded)

    def begun(self, message: JobMessage, verdict: Verdict, *, first: bool) -> None:
        self._metrics.attempts.labels(self._model, verdict.name.lower()).inc()
        if first and verdict is Verdict.HELD:
            self._queue_seconds.observe(max(0.0, time.time() - message.created_at))

    def finished(self, outcome: Outcome, run_seconds: float) -> None:
        code = outcome.error.code if outcome.error else ""
        self._metrics.finished.labels(self._model, outcome.state.value, code).inc()
        self._run_seconds.observe(run_seconds)

    def called(self, outputs: int, seconds: float, stages: Sequence[Stage]) -> None:
        """Count a call of the model adapter that succeeded."""
        self._made.inc(outputs)
        self._call_seconds.observe(seconds)
        for stage in stages:
            self._metrics.stages.labels(self._model, stage.name).observe(stage.seconds)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Time the block as a stage. A stage that raises is not counted."""
        begin = time.perf_counter()
        yield
        self._metrics.stages.labels(self._model, name).observe(time.perf_counter() - begin)
