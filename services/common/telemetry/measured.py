"""Backends whose every call is timed and whose failures are counted, and whose messages carry their trace.

The one place where that is done.
"""

import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, cast

from services.common.backends import Backends
from services.common.cache import Cache
from services.common.errors import BackendUnavailable
from services.common.ports import Broker, ObjectStore, StatusStore
from services.common.schemas import JobMessage
from services.common.telemetry.process_metrics import ProcessMetrics
from services.common.telemetry.tracing import Tracer, message_attributes


def measured(backends: Backends, metrics: ProcessMetrics, tracer: Tracer) -> Backends:
    """The same backends, measured. A consumer's waiting for jobs is no call, nor is a reader's for a job to end."""
    return Backends(
        broker=cast("Broker", _MeasuredBroker(backends.broker, metrics, tracer)),
        statuses=cast("StatusStore", _MeasuredStatuses(backends.statuses, StatusStore, "statuses", metrics)),
        objects=cast("ObjectStore", _MeasuredObjects(backends.objects, ObjectStore, "objects", metrics)),
        cache=cast("Cache", _Measured(backends.cache, Cache, "cache", metrics)),
    )


class _Measured:
    """Has the coroutine methods of the port, and hands everything else through."""

    def __init__(self, backend: Any, port: type, name: str, metrics: ProcessMetrics) -> None:
        self._backend, self._name, self._metrics = backend, name, metrics
        for operation, _ in inspect.getmembers(port, inspect.iscoroutinefunction):
            if not hasattr(type(self), operation):
                setattr(self, operation, self._measure(operation))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def _measure(self, operation: str) -> Callable[..., Awaitable[Any]]:
        method = getattr(self._backend, operation)

        async def call(*arguments: Any, **options: Any) -> Any:
            with self._clock(operation):
                return await method(*arguments, **options)

        return call

    @contextmanager
    def _clock(self, operation: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        except BackendUnavailable:
            self._metrics.backend_errors.labels(self._name, operation).inc()
            raise
        finally:
            self._metrics.backend_seconds.labels(self._name, operation).observe(time.perf_counter() - begin)


class _MeasuredBroker(_Measured):
    def __init__(self, broker: Broker, metrics: ProcessMetrics, tracer: Tracer) -> None:
        super().__init__(broker, Broker, "broker", metrics)
        self._tracer = tracer

    async def publish(self, message: JobMessage, *, bulk: bool = False) -> None:
        attributes = message_attributes("send", message) if self._tracer.enabled else None
        with self._tracer.span("send studio.jobs", "producer", attributes=attributes), self._clock("publish"):
            await self._backend.publish(message, self._tracer.headers(), bulk=bulk)


class _MeasuredStatuses(_Measured):
    async def get(self, job_id: str, wait: float = 0) -> Any:
        if wait:
            return await self._backend.get(job_id, wait)
        with self._clock("get"):
            return await self._backend.get(job_id)


class _MeasuredObjects(_Measured):
    async def get(self, key: str) -> AsyncGenerator[bytes, None]:
        """Until the first chunk: the others come as fast as their reader takes them."""
        async with aclosing(self._backend.get(key)) as chunks:
            with self._clock("get"):
                first = await anext(chunks, None)
            if first is not None:
                yield first
                async for chunk in chunks:
                    yield chunk
