"""What the worker counts, in Prometheus' words, for its /metrics."""

from prometheus_client import CollectorRegistry, Counter, Histogram


class Metrics:
    """One registry a worker, not the process-wide one, so that nothing is registered at import time."""

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()

        def counter(name: str, documentation: str) -> Counter:
            return Counter(name, documentation, ["model"], registry=self.registry).labels(model)

        self.calls = counter("studio_pipeline_calls", "Calls of the model adapter")
        self.made = counter("studio_outputs_made", "Outputs computed")
        self.shared = counter("studio_outputs_shared", "Outputs not computed, an identical job's being taken")
        self.batch_size = Histogram(
            "studio_batch_size",
            "Items in one call of the model adapter",
            ["model"],
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self.registry,
        ).labels(model)
