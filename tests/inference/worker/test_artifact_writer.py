"""How the outputs of a job are stored, and what becomes of the others when one cannot be."""

import asyncio
import threading
from types import SimpleNamespace
from typing import cast

import pytest

from services.common.telemetry.tracing import Tracer
from services.inference.job.metrics import Metrics
from services.inference.job.outcomes import FAILED
from services.inference.runtime.outputs import Encoded
from services.inference.worker.artifact_writer import ArtifactWriter
from services.inference.worker.worker_runtime import WorkerRuntime
from tests.support.models.items import item, tiny_model

pytestmark = pytest.mark.anyio


class Slow:
    """An object store that does not get done; `asked` when something is put, `left` when that is given up."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.left = False

    async def put(self, _key: str, _data: bytes, _media_type: str) -> None:
        self.asked.set()
        try:
            await asyncio.sleep(3600)
        finally:
            self.left = True


class Made:
    """An output that is encoded when `go` is set, or cannot be where it is `odd`."""

    def __init__(self, go: threading.Event, *, odd: bool = False) -> None:
        self._go, self._odd = go, odd

    def encode(self, metadata: dict[str, str]) -> Encoded:
        assert metadata
        assert self._go.wait(10)
        if self._odd:
            raise ValueError("no picture")
        return Encoded(b"a picture", "image/png", "png")


async def test_one_that_cannot_be_encoded_stops_the_others() -> None:
    """When one of a job's outputs is none, the job fails, and nothing more of it is stored."""
    store, now = Slow(), threading.Event()
    now.set()
    backends = SimpleNamespace(objects=store)
    runtime = SimpleNamespace(backends=backends, model=tiny_model(), tracer=Tracer(), metrics=Metrics("tiny"))
    async with asyncio.timeout(10):
        outputs = [Made(now), Made(store.asked, odd=True)]
        assert await ArtifactWriter(cast("WorkerRuntime", runtime)).write([item(1), item(2)], outputs) == FAILED
    assert store.left
