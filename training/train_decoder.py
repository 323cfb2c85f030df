"""Trains the autoencoder's decoder once more, on latents as the finished denoiser draws them.

It has only seen latents of renders. A denoiser's are a little off, along outlines above all, where the decoder then
made coloured fringes of it. Here a photo's latents get noise, the denoiser takes the last steps of a drawing over it,
and the decoder learns to make the photo of the result.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training import networks
from training.captions import write_caption
from training.grid import save_grid
from training.loop import Ema, Loop, descend, device, half_precision, rate_at
from training.photos import pixels, scene_of
from training.recipe import Recipe
from training.train_autoencoder import distance

_RATE = 6e-4
_STEPS, _GUIDANCE = 8, 2.0  # a drawing by default, as models.toml has it
_MOST_REDRAWN = 2  # of its steps: more would make another picture than the photo


class Redrawing:
    """Latents of photos as the denoiser draws them over, `count` steps before the end of a drawing."""

    def __init__(self, unet: Any, read: Callable[[list[str]], torch.Tensor]) -> None:
        self._unet = unet
        self._read = read
        self._scheduler = networks.scheduler()
        self._scheduler.set_timesteps(_STEPS)

    def __call__(self, clean: torch.Tensor, texts: list[str], count: int, noise: torch.Tensor) -> torch.Tensor:
        if count == 0:
            return clean
        times = self._scheduler.timesteps[-count:]
        drawn: torch.Tensor = self._scheduler.add_noise(clean, noise, times[:1].expand(len(clean)))
        words = self._read([""] * len(texts) + texts)
        for time in times:
            without, with_words = self._unet(torch.cat([drawn, drawn]), time, words).sample.float().chunk(2)
            drawn = self._scheduler.step(without + _GUIDANCE * (with_words - without), time, drawn).prev_sample
        return drawn


def train_decoder(
    folder: Path,
    autoencoder: Any,
    redrawing: Redrawing,
    photos: NDArray[np.uint8],
    latents: NDArray[np.float16],
    templates: Mapping[str, str],
    recipe: Recipe,
) -> Any:
    """The autoencoder with its new decoder; the encoder, and so every latent, stays as it is."""
    torch.manual_seed(recipe.seed)
    decoder = autoencoder.decoder.train()
    ema = Ema(decoder, 0.997)
    optimiser = torch.optim.AdamW(decoder.parameters(), betas=(0.9, 0.99), weight_decay=1e-4)

    def redrawn(number: int) -> tuple[torch.Tensor, NDArray[np.int64]]:
        rng = np.random.default_rng([recipe.seed, number, 5])
        chosen = rng.integers(len(latents), size=recipe.unet_batch)
        texts = [write_caption(scene_of(recipe.seed, int(one)), templates, rng).text for one in chosen]
        clean = torch.from_numpy(latents[chosen]).float()
        noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(recipe.seed + number))
        with torch.no_grad(), half_precision():
            count = number % (_MOST_REDRAWN + 1)
            return redrawing(clean.to(device()), texts, count, noise.to(device())) / networks.LATENT_SCALE, chosen

    def step(number: int) -> float:
        drawn, chosen = redrawn(number)
        part, places = _same_corner(drawn, photos[chosen], recipe.crop, number)
        with half_precision():
            found = decoder(part.to(memory_format=torch.channels_last))
        loss = distance(found.float(), places.to(device()))
        value = descend(optimiser, loss, rate_at(number, recipe.decoder_steps, _RATE))
        ema.update(number)
        return value

    def show(number: int) -> None:
        drawn, chosen = redrawn(number * (_MOST_REDRAWN + 1) + 1)
        with torch.inference_mode():
            found = decoder(drawn[:8]).float()
        wanted = pixels(photos[chosen[:8]]).to(device())
        save_grid(folder / "decoder.png", torch.cat([wanted, found]), columns=len(wanted))

    parts = {"model": decoder, "ema": ema, "optimiser": optimiser}
    Loop("decoder", folder, parts, recipe.save_seconds).run(recipe.decoder_steps, step, show)
    decoder.load_state_dict(ema.state_dict())
    return autoencoder.eval()


def _same_corner(
    latents: torch.Tensor, photos: NDArray[np.uint8], size: int, number: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """One window of the latents, and of the photos: the same for the whole batch. `size` in pixels."""
    scale = photos.shape[1] // latents.shape[-1]
    room = latents.shape[-1] - size // scale + 1
    top, left = np.random.default_rng([number, 6]).integers(room, size=2)
    window = latents[..., top : top + size // scale, left : left + size // scale]
    top, left = top * scale, left * scale
    return window, pixels(photos[:, top : top + size, left : left + size])
