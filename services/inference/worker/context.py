"""Where a worker's attempts are made."""

from dataclasses import dataclass

from services.common.backends import Backends
from services.common.catalogue import Catalogue, Model
from services.common.failpoints import Failpoints
from services.common.telemetry.tracing import Tracer
from services.inference.batching.batcher import Batcher
from services.inference.job.metrics import Metrics
from services.inference.worker.announcer import Announcer
from services.inference.worker.best_effort import BestEffort


@dataclass(frozen=True)
class WorkerContext:
    """What all attempts of a worker share."""

    backends: Backends
    catalogue: Catalogue
    model: Model
    batcher: Batcher
    max_attempts: int
    failpoints: Failpoints
    announcer: Announcer
    cache: BestEffort
    metrics: Metrics
    tracer: Tracer
