"""The real adapter on a real pipeline, built once for all tests of the worker's model side."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.common.catalogue import Model
from services.inference.models.txt2img import Txt2Img
from services.inference.sources import resolve_source
from tests.inference.models import placeholder_model


@pytest.fixture(scope="session")
def placeholder(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A catalogue entry whose source is the folder of the built pipeline."""
    Txt2Img.prepare_thread(2)
    built = resolve_source(placeholder_model(), catalogue_folder=Path(), data_dir=tmp_path_factory.mktemp("data"))
    built.prepare()
    return placeholder_model(source=built.location)


@pytest.fixture(scope="session")
def txt2img(placeholder: Model) -> Iterator[Txt2Img]:
    """Loaded in the test's own thread; adapters do not care which thread it is as long as it is one."""
    adapter = Txt2Img(placeholder, resolve_source(placeholder, catalogue_folder=Path(), data_dir=Path()))
    adapter.load("cpu")
    yield adapter
    adapter.close()
