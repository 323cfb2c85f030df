"""When a worker is ready: not before jobs can come, and not while they cannot."""

import asyncio
from collections.abc import AsyncGenerator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from services.common.backends import Backends
from services.common.brokers.delivery import Delivery
from services.inference.worker.health import Readiness
from services.inference.worker.worker import Worker
from services.inference.worker.worker_runtime import WorkerRuntime

pytestmark = pytest.mark.anyio


class Patient:
    """A broker nobody publishes to, where it takes as long as the test likes until the consumer is one."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.consuming: asyncio.Event | None = None

    async def consume(self, model: str, prefetch: int, consuming: asyncio.Event) -> AsyncGenerator[Delivery, None]:
        self.consuming = consuming
        self.asked.set()
        await asyncio.sleep(3600)
        yield cast("Delivery", None)

    async def ping(self, **_: Any) -> None:
        pass


async def test_worker_is_ready_while_it_consumes() -> None:
    """Alive, with the model loaded and every backend answering, but without a consumer, it is not ready."""
    broker = Patient()
    backends = cast("Backends", SimpleNamespace(broker=broker, statuses=broker, objects=broker))
    readiness, stop = Readiness(), asyncio.Event()
    runtime = SimpleNamespace(
        settings=SimpleNamespace(prefetch=1, grace_seconds=1),
        model=SimpleNamespace(name="m"),
        backends=backends,
        readiness=readiness,
        metrics=SimpleNamespace(watch=lambda *_: None),
        announcer=SimpleNamespace(serve=lambda *_: None, drain=lambda: None),
        batcher=SimpleNamespace(lost=asyncio.Event(), loss=None, timings=None, max_batch=1),
    )
    worker = Worker(cast("WorkerRuntime", runtime))
    assert await readiness.missing() == ["model"]
    async with asyncio.timeout(10):
        running = asyncio.create_task(worker.run(stop, asyncio.Event()))
        await broker.asked.wait()
        assert broker.consuming is not None
        assert await readiness.missing() == ["consumer"]
        broker.consuming.set()
        assert await readiness.missing() == []
        broker.consuming.clear()
        assert await readiness.missing() == ["consumer"]
        stop.set()
        await running
