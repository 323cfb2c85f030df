"""`just style-cards` draws the example image of every studio style with the default model, into web/static/styles.

Run it again when the model or the looks change; it takes a minute. It keeps the most typical of several images, so that
a bad seed is no visitor's first impression.
"""

import sys
from typing import TYPE_CHECKING, Any

from services.common.catalogue.catalogue import Catalogue
from services.common.catalogue.files import load_catalogue
from services.common.modalities.style import Style
from services.inference.diffusers.quiet import silence_libraries
from tests.support.system import ROOT

if TYPE_CHECKING:
    import numpy as np

CANDIDATES = 6
SIDE = 256  # pixels, about the width of a card; the page would enlarge a smaller image less well
QUALITY = 82


def main() -> int:
    from diffusers import DiffusionPipeline
    from PIL import Image

    silence_libraries()
    models = ROOT / "models"
    catalogue = load_catalogue(models / "models.toml", models / "styles.toml")
    pipeline = DiffusionPipeline.from_pretrained(models / catalogue.default_model.source)
    pipeline.set_progress_bar_config(disable=True)
    folder = ROOT / "web" / "static" / "styles"
    folder.mkdir(parents=True, exist_ok=True)
    for style in catalogue.styles.values():
        typical = _most_typical(_drawn(pipeline, catalogue, style))
        image = Image.fromarray(typical).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        file = folder / f"{style.name}.webp"
        image.save(file, quality=QUALITY, method=6)
        print(f"{style.name}: {style.example}, {file.stat().st_size / 1000:.1f} kB")
    return 0


def _drawn(pipeline: Any, catalogue: Catalogue, style: Style) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return CANDIDATES x height x width x 3 in 0..255, drawn with the model's own settings."""
    import torch

    defaults = catalogue.default_model.defaults
    drawn = pipeline(
        prompt=[style.prompt(style.example)] * CANDIDATES,
        negative_prompt=[style.negative_prompt] * CANDIDATES,
        width=defaults["width"],
        height=defaults["height"],
        num_inference_steps=defaults["steps"],
        guidance_scale=defaults["guidance"],
        generator=[torch.Generator().manual_seed(seed) for seed in range(CANDIDATES)],
        output_type="np",
    )
    pixels: np.ndarray[Any, np.dtype[np.uint8]] = (drawn.images * 255).round().clip(0, 255).astype("uint8")
    return pixels


def _most_typical(images: "np.ndarray[Any, np.dtype[np.uint8]]") -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """Return the image that differs least from all the others."""
    flat = images.reshape(len(images), -1).astype("float32")
    differences = ((flat[:, None] - flat[None]) ** 2).mean(axis=-1).sum(axis=1)
    typical: np.ndarray[Any, np.dtype[np.uint8]] = images[differences.argmin()]
    return typical


if __name__ == "__main__":
    sys.exit(main())
