"""Pictures that keep to their words more or less closely share calls of the model."""

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

import pytest

from services.common.catalogue import Model
from services.inference.adapters.txt2img import Txt2Img
from services.inference.diffusers.guidance import takes_scales
from services.inference.runtime.sources import Source
from tests.support.models.items import apart, draw, item, tiny_model
from tests.support.models.tiny_pipeline import build_xl_pipeline

pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")  # diffusers' schedulers, under numpy 2


@pytest.fixture(scope="module", params=["SD", "SDXL"])
def adapter(request: pytest.FixtureRequest, tiny: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Txt2Img]:
    folder = Path(tiny.source)
    if request.param == "SDXL":
        folder = tmp_path_factory.mktemp("xl")
        build_xl_pipeline(folder)
    adapter = Txt2Img(tiny_model(str(folder)), Source(str(folder)))
    adapter.load("cpu")
    yield adapter
    adapter.close()


def test_each_picture_has_its_own(adapter: Txt2Img) -> None:
    """In a call for several scales, each picture is the one drawn alone with its own."""
    batch = [item(1, guidance=scale) for scale in (1.5, 10.0, 30.0)]
    assert len({adapter.batch_key(each) for each in batch}) == 1
    alone = [draw(adapter, each)[0] for each in batch]
    together = draw(adapter, *batch)
    assert max(apart(*pair) for pair in zip(alone, together, strict=True)) <= 2
    assert min(apart(together[0], other) for other in together[1:]) > 10


def test_no_guidance(txt2img: Txt2Img) -> None:
    """Where words are followed and nothing more, the scale changes nothing; no call has both kinds."""
    unguided = [item(1, guidance=scale) for scale in (0.0, 1.0)]
    assert len({txt2img.batch_key(each) for each in unguided}) == 1
    one, other = draw(txt2img, *unguided)
    assert apart(one, other) <= 1
    keys = {txt2img.batch_key(item(1, guidance=scale)) for scale in (1.0, 1.1, None)}
    assert len(keys) == 3


def test_scale_that_is_told_to_the_denoiser(tiny: Model) -> None:
    """Distilled denoisers take one scale as their input, so every scale has calls of its own."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(tiny.source)
    assert takes_scales(pipeline)
    pipeline.unet.register_to_config(time_cond_proj_dim=16)
    assert not takes_scales(pipeline)
    assert not takes_scales(SimpleNamespace(unet=pipeline.unet))

    adapter = Txt2Img(tiny, Source(tiny.source))
    with patch("services.inference.adapters.txt2img.load_pipeline", return_value=pipeline):
        adapter.load("cpu")
    assert adapter.batch_key(item(1, guidance=4.0)) != adapter.batch_key(item(1, guidance=5.0))
    adapter.close()
