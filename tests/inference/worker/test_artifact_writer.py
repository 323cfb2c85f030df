"""How the outputs of a job are stored, and what becomes of the others when one cannot be."""

import asyncio
import hashlib
import threading
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest

from services.common.provenance.mark import Mark, SourceType
from services.common.provenance.wave import facts_in
from services.common.telemetry.tracing import Tracer
from services.inference.job.items import metadata_of
from services.inference.job.metrics import Metrics
from services.inference.job.outcomes import FAILED
from services.inference.runtime.outputs import AudioOutput, Encoded
from services.inference.worker.artifact_writer import ArtifactWriter
from services.inference.worker.worker_runtime import WorkerRuntime
from tests.support.fakes import stored_image
from tests.support.models.items import item, tiny_model
from tests.support.sounds import Heard, sine

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
        return Encoded(stored_image(), "image/png", "png")


async def test_one_that_cannot_be_encoded_stops_the_others() -> None:
    """When one of a job's outputs is none, the job fails, and nothing more of it is stored."""
    store, now = Slow(), threading.Event()
    now.set()
    backends = SimpleNamespace(objects=store)
    async with asyncio.timeout(10):
        outputs = [Made(now), Made(store.asked, odd=True)]
        assert await writer(backends).write([item(1), item(2)], outputs) == FAILED
    assert store.left


class Kept:
    """An object store that keeps `files`."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}

    async def put(self, key: str, data: bytes, _media_type: str) -> None:
        self.files[key] = data


class Ready:
    """An output that is encoded as this."""

    def __init__(self, encoded: Encoded) -> None:
        self._encoded = encoded

    def encode(self, metadata: dict[str, str]) -> Encoded:
        assert metadata
        return self._encoded


@pytest.mark.parametrize("source_type", list(SourceType))
@pytest.mark.parametrize(
    ("data", "media_type", "extension"),
    [(stored_image(prompt="mug"), "image/png", "png"), (sine(), "audio/wav", "wav")],
)
async def test_stored_files_are_marked(source_type: str, data: bytes, media_type: str, extension: str) -> None:
    """A file is stored with the mark that its adapter names, which its artifact has as well, and is found by digest."""
    store = Kept()
    made = item(1)

    outcome = await writer(SimpleNamespace(objects=store), source_type).write(
        [made], [Ready(Encoded(data, media_type, extension))]
    )

    (artifact,) = outcome.artifacts
    assert artifact.source_type == source_type
    stored = store.files[artifact.key]
    assert Mark.found_in(stored) == Mark(source_type)
    assert artifact.sha256 == hashlib.sha256(stored).hexdigest()
    assert f"digests/{artifact.sha256}/{made.job_id}" in store.files
    assert len(stored) > len(data)


async def test_sound_keeps_its_facts() -> None:
    """The mark of a sound leaves the samples and the comment with its facts as they are."""
    store = Kept()
    samples = np.sin(np.arange(2401, dtype=np.float32))
    outcome = await writer(SimpleNamespace(objects=store)).write([item(1)], [AudioOutput(samples, 24_000)])

    stored = store.files[outcome.artifacts[0].key]

    assert Mark.found_in(stored) == Mark(SourceType.TRAINED)
    assert facts_in(stored) == metadata_of(item(1), tiny_model())
    assert np.abs(Heard(stored).samples - samples).max() < 1e-4


async def test_texts_are_stored_as_they_are() -> None:
    """A text has no place for a mark; its artifact has the term."""
    store = Kept()
    outcome = await writer(SimpleNamespace(objects=store)).write(
        [item(1)], [Ready(Encoded(b'{"text": ""}', "application/json", "json"))]
    )
    (artifact,) = outcome.artifacts
    assert (store.files[artifact.key], artifact.source_type) == (b'{"text": ""}', "trainedAlgorithmicMedia")


def writer(backends: object, source_type: str = SourceType.TRAINED) -> ArtifactWriter:
    served = SimpleNamespace(adapter=SimpleNamespace(source_type=source_type))
    telemetry = {"tracer": Tracer(), "metrics": Metrics().of("tiny")}
    runtime = SimpleNamespace(backends=backends, model=tiny_model(), served=served, **telemetry)
    return ArtifactWriter(cast("WorkerRuntime", runtime))
