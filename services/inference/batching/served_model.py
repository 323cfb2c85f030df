"""A model that the worker serves, loaded or not, with its timings and its figures."""

import asyncio
from collections.abc import Callable

from services.common.catalogue.catalogue import Model
from services.common.errors import ModelUnavailable
from services.inference.batching.timings import CallTimings
from services.inference.job.metrics import ModelMetrics
from services.inference.runtime.adapter import ModelAdapter
from services.inference.runtime.executor import ModelExecutor


class ServedModel:
    """Has an adapter from the beginning, so that jobs get their batch keys before the model is loaded.

    `load_seconds` is how long its last load took, `size` how many bytes it added to those in use. `used_at` is the time
    of its last call or load on the event loop's clock. Once `failed` is set, `fault` says why it cannot be loaded, and
    the worker serves it no more.
    """

    def __init__(self, model: Model, make: Callable[[], ModelExecutor], metrics: ModelMetrics) -> None:
        """Raise ModelUnavailable, saying what to do, if there is no adapter for it."""
        self.model = model
        self.metrics = metrics
        self.timings = CallTimings()
        self.loaded = False
        self.loading = False
        self.load_seconds = 0.0
        self.size: int | None = None
        self.used_at = 0.0
        self.failed = asyncio.Event()
        self.fault: ModelUnavailable | None = None
        self._make = make
        self.executor = make()

    @property
    def name(self) -> str:
        return self.model.name

    @property
    def adapter(self) -> ModelAdapter:
        return self.executor.adapter

    def renew(self) -> None:
        """Take a new adapter if this one was closed, since one is loaded once. Raise ModelUnavailable."""
        if self.executor.closed:
            self.executor = self._make()

    def fail(self, fault: ModelUnavailable) -> None:
        """Serve this model no more."""
        self.fault = fault
        self.failed.set()
