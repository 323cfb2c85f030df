"""`just style-cards`: has the default model draw the example picture of every studio look, into web/static/styles.

Run it again when the model or the looks change; it takes a minute. Of several pictures it keeps the most typical one,
so that a bad seed is nobody's first impression.
"""

import sys
from typing import TYPE_CHECKING, Any

from services.common.catalogue import Catalogue, Style, load_catalogue
from services.inference.diffusers.quiet import silence_libraries
from tests.support.system import ROOT

if TYPE_CHECKING:
    import numpy as np

CANDIDATES = 6
SIDE = 256  # pixels; the cards are about as wide, and the page would enlarge a smaller one less well
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
        picture = Image.fromarray(typical).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
        file = folder / f"{style.name}.webp"
        picture.save(file, quality=QUALITY, method=6)
        print(f"{style.name}: {style.example}, {file.stat().st_size / 1000:.1f} kB")
    return 0


def _drawn(pipeline: Any, catalogue: Catalogue, style: Style) -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """CANDIDATES x height x width x 3 in 0..255, with the model's own settings."""
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


def _most_typical(pictures: "np.ndarray[Any, np.dtype[np.uint8]]") -> "np.ndarray[Any, np.dtype[np.uint8]]":
    """The one that differs least from all the others."""
    flat = pictures.reshape(len(pictures), -1).astype("float32")
    differences = ((flat[:, None] - flat[None]) ** 2).mean(axis=-1).sum(axis=1)
    typical: np.ndarray[Any, np.dtype[np.uint8]] = pictures[differences.argmin()]
    return typical


if __name__ == "__main__":
    sys.exit(main())
