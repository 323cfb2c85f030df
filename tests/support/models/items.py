"""Catalogue entries and items for the tests of adapters, and comparisons of their images."""

from PIL import Image, ImageChops

from services.common.catalogue.catalogue import Model
from services.common.modalities.images import TXT2IMG, Txt2ImgParams
from services.inference.adapters.txt2img import Txt2Img
from services.inference.runtime.adapter import QUIET, Context, Item
from services.inference.runtime.outputs import ImageOutput


def tiny_model(source: str = "nowhere", revision: str | None = None, **options: str) -> Model:
    return Model(
        name="tiny",
        title="Tiny",
        modality="txt2img",
        adapter="txt2img",
        source=source,
        revision=revision,
        options=options,
    )


def item(
    seed: int,
    prompt: str = "a coffee grinder",
    *,
    job_id: str = "job",
    width: int = 64,
    steps: int = 4,
    guidance: float | None = 4.0,
) -> Item:
    params = Txt2ImgParams(prompt=prompt, width=width, height=64, steps=steps, guidance=guidance)
    cost = TXT2IMG.cost(params.model_dump(), {})
    return Item(job_id, 0, seed, prompt, "blurry", params, cost)


def draw(adapter: Txt2Img, *batch: Item, context: Context = QUIET) -> list[Image.Image]:
    outputs = adapter.generate(batch, context)
    return [output.image for output in outputs if isinstance(output, ImageOutput)]


def apart(one: Image.Image, other: Image.Image) -> int:
    """Return the largest difference of any channel of any pixel, 0 to 255."""
    import numpy as np

    return int(np.asarray(ImageChops.difference(one, other)).max())
