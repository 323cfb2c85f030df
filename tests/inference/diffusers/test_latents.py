"""Previews from latents, with the autoencoder of the model that ships."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from services.inference.diffusers.latents import LatentColours
from services.inference.diffusers.quiet import silence_libraries

VAE = Path(__file__).parents[3] / "models" / "studio-tiny" / "vae"


@pytest.fixture(scope="module")
def vae() -> Any:
    silence_libraries()
    from diffusers import AutoencoderTiny

    return AutoencoderTiny.from_pretrained(VAE, use_safetensors=True).eval()


def quarters() -> Image.Image:
    """Return an image of four colours, so that a preview turned or mixed up would show."""
    image = Image.new("RGB", (128, 128), (200, 40, 40))
    image.paste((40, 160, 60), (64, 0, 128, 64))
    image.paste((40, 60, 200), (0, 64, 64, 128))
    image.paste((230, 230, 220), (64, 64, 128, 128))
    return image


def test_preview_shows_what_the_decoder_would(vae: Any) -> None:
    """Latents give a small image of about the right colours in the right places, one for each item."""
    image = quarters()
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 127.5 - 1
    with torch.inference_mode():
        latents = vae.encode(pixels).latents * vae.config.scaling_factor
    colours = LatentColours.of(SimpleNamespace(vae=vae))
    assert colours is not None
    first, second = (each.image for each in colours.previews(torch.cat([latents, latents.flip(-1)])))
    for preview, wanted in ((first, image), (second, image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))):
        off = np.abs(np.asarray(preview, float) - np.asarray(wanted.resize(preview.size, Image.Resampling.BOX), float))
        assert off.mean() < 30


def test_fitting_draws_no_random_numbers(vae: Any) -> None:
    """Fitting the previews leaves torch's random state as it is, so images are the same with and without them."""
    before = torch.get_rng_state()
    LatentColours.of(SimpleNamespace(vae=vae))
    assert torch.equal(before, torch.get_rng_state())


def test_pipeline_without_a_decoder_has_no_previews() -> None:
    """A pipeline without a decoder is served without previews."""
    assert LatentColours.of(SimpleNamespace()) is None
