"""Prometheus metrics of both services: their backends, their event loop, their process."""

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.process_collector import ProcessCollector

# From the time of a poll to the deadline of a job.
SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


class ProcessMetrics:
    """One registry a service, not the process-wide one, so that nothing is registered at import time.

    Labels have few values: no id, no prompt, no path with an id in it.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.loop_lag = self.histogram("studio_loop_lag_seconds", "How late the event loop wakes what sleeps")
        of_backends = ("backend", "operation")
        self.backend_seconds = self.histogram("studio_backend_seconds", "Calls of the backends", *of_backends)
        self.backend_errors = self.counter("studio_backend_errors", "Calls that got no answer in time", *of_backends)

    def counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self.registry)

    def histogram(self, name: str, documentation: str, *labels: str) -> Histogram:
        return Histogram(name, documentation, labels, buckets=SECONDS, registry=self.registry)
