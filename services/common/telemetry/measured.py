"""Backends whose every call is timed and whose failures are counted, and whose messages carry their trace.

One class for each port. A consumer's wait for jobs is not measured, nor is a client's wait for the end of a job.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager

from services.common.backends import Backends
from services.common.brokers.delivery import Delivery
from services.common.cache import Cache
from services.common.errors import BackendUnavailable
from services.common.ports import Broker, DeadLetter, Lease, ObjectStore, Outcome, Quota, StatusStore, Verdict
from services.common.schemas import JobMessage, Progress, StatusRecord
from services.common.statuses.lane import Lane
from services.common.telemetry.process_metrics import ProcessMetrics
from services.common.telemetry.tracing import Tracer, message_attributes


def measured(backends: Backends, metrics: ProcessMetrics, tracer: Tracer) -> Backends:
    """Return the same backends, measured."""
    return Backends(
        broker=MeasuredBroker(backends.broker, metrics, tracer),
        statuses=MeasuredStatusStore(backends.statuses, metrics),
        objects=MeasuredObjectStore(backends.objects, metrics),
        cache=MeasuredCache(backends.cache, metrics),
        clock=backends.clock,
    )


class _Calls:
    """Times the calls of one backend, and counts those which it did not answer."""

    def __init__(self, backend: str, metrics: ProcessMetrics) -> None:
        self._backend = backend
        self._metrics = metrics

    @contextmanager
    def measure(self, operation: str) -> Iterator[None]:
        begin = time.perf_counter()
        try:
            yield
        except BackendUnavailable:
            self._metrics.backend_errors.labels(self._backend, operation).inc()
            raise
        finally:
            self._metrics.backend_seconds.labels(self._backend, operation).observe(time.perf_counter() - begin)


class MeasuredBroker:
    """See the port `Broker`. A message is published in a span of its own, which its headers name."""

    def __init__(self, broker: Broker, metrics: ProcessMetrics, tracer: Tracer) -> None:
        self._broker = broker
        self._calls = _Calls("broker", metrics)
        self._tracer = tracer

    async def publish(
        self, message: JobMessage, headers: Mapping[str, str] | None = None, *, bulk: bool = False
    ) -> None:
        attributes = message_attributes("send", message) if self._tracer.enabled else None
        with self._tracer.span("send studio.jobs", "producer", attributes=attributes), self._calls.measure("publish"):
            await self._broker.publish(message, {**(headers or {}), **self._tracer.headers()}, bulk=bulk)

    def consume(
        self, model: str, prefetch: int, consuming: asyncio.Event | None = None
    ) -> AsyncGenerator[Delivery, None]:
        return self._broker.consume(model, prefetch, consuming)

    async def depth(self, model: str, *, bulk: bool | None = None) -> int:
        with self._calls.measure("depth"):
            return await self._broker.depth(model, bulk=bulk)

    async def dead_letter_count(self) -> int:
        with self._calls.measure("dead_letter_count"):
            return await self._broker.dead_letter_count()

    async def dead_letters(self, limit: int = 100) -> list[DeadLetter]:
        with self._calls.measure("dead_letters"):
            return await self._broker.dead_letters(limit)

    async def replay(self, message_id: str) -> bool:
        with self._calls.measure("replay"):
            return await self._broker.replay(message_id)

    async def drop(self, message_id: str) -> bool:
        with self._calls.measure("drop"):
            return await self._broker.drop(message_id)

    async def ping(self, *, publishing: bool = False) -> None:
        with self._calls.measure("ping"):
            await self._broker.ping(publishing=publishing)


class MeasuredStatusStore:
    """See the port `StatusStore`."""

    def __init__(self, statuses: StatusStore, metrics: ProcessMetrics) -> None:
        self._statuses = statuses
        self._calls = _Calls("statuses", metrics)

    async def create(self, record: StatusRecord, quota: Quota | None = None) -> StatusRecord:
        with self._calls.measure("create"):
            return await self._statuses.create(record, quota)

    async def get(self, job_id: str, wait: float = 0) -> StatusRecord:
        if wait:
            return await self._statuses.get(job_id, wait)
        with self._calls.measure("get"):
            return await self._statuses.get(job_id)

    async def list(self, after: str = "", limit: int = 100, *, owner: str | None = None) -> list[StatusRecord]:
        with self._calls.measure("list"):
            return await self._statuses.list(after, limit, owner=owner)

    async def lanes(self, most: int) -> Sequence[Lane]:
        with self._calls.measure("lanes"):
            return await self._statuses.lanes(most)

    async def begin(self, message: JobMessage, lease: Lease, *, recreate: bool = False) -> Verdict:
        with self._calls.measure("begin"):
            return await self._statuses.begin(message, lease, recreate=recreate)

    async def progress(self, lease: Lease, progress: Progress) -> Verdict:
        with self._calls.measure("progress"):
            return await self._statuses.progress(lease, progress)

    async def finish(self, lease: Lease, outcome: Outcome) -> Verdict:
        with self._calls.measure("finish"):
            return await self._statuses.finish(lease, outcome)

    async def request_cancel(self, job_id: str) -> StatusRecord:
        with self._calls.measure("request_cancel"):
            return await self._statuses.request_cancel(job_id)

    async def remove(self, job_id: str) -> None:
        with self._calls.measure("remove"):
            await self._statuses.remove(job_id)

    async def ping(self) -> None:
        with self._calls.measure("ping"):
            await self._statuses.ping()


class MeasuredObjectStore:
    """See the port `ObjectStore`."""

    def __init__(self, objects: ObjectStore, metrics: ProcessMetrics) -> None:
        self._objects = objects
        self._calls = _Calls("objects", metrics)

    async def put(self, key: str, data: bytes, media_type: str) -> None:
        with self._calls.measure("put"):
            await self._objects.put(key, data, media_type)

    async def get(self, key: str, start: int = 0, end: int | None = None) -> AsyncGenerator[bytes, None]:
        """Measure until the first chunk: the others come as fast as their reader takes them."""
        async with aclosing(self._objects.get(key, start, end)) as chunks:
            with self._calls.measure("get"):
                first = await anext(chunks, None)
            if first is not None:
                yield first
                async for chunk in chunks:
                    yield chunk

    async def url(self, key: str, *, media_type: str, filename: str, seconds: int) -> str | None:
        with self._calls.measure("url"):
            return await self._objects.url(key, media_type=media_type, filename=filename, seconds=seconds)

    async def list(self, prefix: str) -> list[str]:
        with self._calls.measure("list"):
            return await self._objects.list(prefix)

    async def delete(self, keys: Sequence[str]) -> None:
        with self._calls.measure("delete"):
            await self._objects.delete(keys)

    async def clear(self, folder: str) -> None:
        with self._calls.measure("clear"):
            await self._objects.clear(folder)

    async def ping(self) -> None:
        with self._calls.measure("ping"):
            await self._objects.ping()


class MeasuredCache:
    """See the port `Cache`."""

    def __init__(self, cache: Cache, metrics: ProcessMetrics) -> None:
        self._cache = cache
        self._calls = _Calls("cache", metrics)

    async def put(self, key: str, value: bytes, seconds: float) -> None:
        with self._calls.measure("put"):
            await self._cache.put(key, value, seconds)

    async def get(self, key: str) -> bytes | None:
        with self._calls.measure("get"):
            return await self._cache.get(key)

    async def list(self, folder: str) -> dict[str, bytes]:
        with self._calls.measure("list"):
            return await self._cache.list(folder)

    async def delete(self, keys: Sequence[str]) -> None:
        with self._calls.measure("delete"):
            await self._cache.delete(keys)
