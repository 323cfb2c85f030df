"""Fixtures: the real adapter on a real pipeline, built once for all tests of the worker's model side."""

from collections.abc import Iterator

import pytest

from services.common.catalogue.catalogue import Model
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.sources import Source
from tests.support.models.items import tiny_model
from tests.support.models.tiny_pipeline import build_pipeline


@pytest.fixture
def collecting() -> None:
    """Have models that are unloaded give their memory back, as a worker does."""


@pytest.fixture(autouse=True)
def quick_unload(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Unload without collecting garbage, unless a test asks for `collecting`: a large process takes a second for it."""
    if "collecting" not in request.fixturenames:
        for module in ("services.inference.runtime.executor", "services.inference.batching.model_memory"):
            monkeypatch.setattr(f"{module}.give_back_memory", lambda: None)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """Return a catalogue entry whose source is the folder of a pipeline built in code."""
    Txt2Img(tiny_model(), Source("nowhere")).prepare_thread(2)
    folder = tmp_path_factory.mktemp("tiny")
    build_pipeline(folder)
    return tiny_model(source=str(folder))


@pytest.fixture(scope="session")
def txt2img(tiny: Model) -> Iterator[Txt2Img]:
    """Load the adapter in the test's own thread. An adapter works in any thread, as long as it is always the same."""
    adapter = Txt2Img(tiny, Source(tiny.source))
    adapter.load("cpu")
    yield adapter
    adapter.close()
