"""An image does not depend on its batch, with every scheduler, also those with fresh noise in every step."""

import json
import shutil
from collections.abc import Iterator
from itertools import product
from typing import Final

import pytest
from PIL import Image

from services.common.catalogue.catalogue import Model
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.sources import Source
from tests.support.models.items import apart, draw, item, tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")  # diffusers' schedulers, under numpy 2

SCHEDULERS: Final = (
    "DDIMScheduler",
    "DDPMScheduler",
    "DPMSolverMultistepScheduler",
    "EulerAncestralDiscreteScheduler",
    "EulerDiscreteScheduler",
    "KDPM2AncestralDiscreteScheduler",
    "LCMScheduler",
    "UniPCMultistepScheduler",
)
ITEMS: Final = [item(seed, f"product {seed}") for seed in range(8)]
APART: Final = {"float32": 1, "bfloat16": 2}  # by precision, of 255


@pytest.fixture(scope="module", params=product(SCHEDULERS, APART), ids="-".join)
def case(request: pytest.FixtureRequest) -> tuple[str, str]:
    """Return a scheduler and a precision."""
    scheduler, precision = request.param
    return scheduler, precision


@pytest.fixture(scope="module")
def adapter(case: tuple[str, str], tiny: Model, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Txt2Img]:
    import diffusers

    scheduler, precision = case
    folder = shutil.copytree(tiny.source, tmp_path_factory.mktemp("scheduled") / "model")
    old = json.loads((folder / "scheduler" / "scheduler_config.json").read_text())
    getattr(diffusers, scheduler).from_config(old).save_pretrained(folder / "scheduler")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", scheduler]
    (folder / "model_index.json").write_text(json.dumps(index))
    adapter = Txt2Img(tiny_model(str(folder), precision=precision), Source(str(folder)))
    adapter.load("cpu")
    yield adapter
    adapter.close()


@pytest.fixture(scope="module")
def alone(adapter: Txt2Img) -> list[Image.Image]:
    """Return the image of each item, drawn alone."""
    return [draw(adapter, single)[0] for single in ITEMS]


@pytest.mark.parametrize("size", [2, 4, 8])
def test_images_of_a_batch_are_those_drawn_alone(
    case: tuple[str, str], adapter: Txt2Img, alone: list[Image.Image], size: int
) -> None:
    """Each image of a batch comes from its own seed and prompt, as if it had been drawn alone."""
    together = draw(adapter, *ITEMS[:size])
    assert max(apart(*pair) for pair in zip(alone, together, strict=False)) <= APART[case[1]]
    assert apart(together[0], together[1]) > 10
