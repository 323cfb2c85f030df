"""Trains the autoencoder's decoder again, on latents made by the finished denoiser.

The decoder has seen latents of renders only. Those of the denoiser deviate slightly, above all along outlines, where
the decoder then made coloured fringes. Here a photo's latents get noise, the denoiser takes the last steps of a
generation over it, and the decoder learns to make the photo from the result.
"""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training import networks
from training.gradient import Gradient
from training.grid import save_grid
from training.lessons import Lesson, Lessons
from training.loop import Ema, Loop, device, follow_gradient, half_precision, randomness, rate_at
from training.photos import pixels
from training.recipe import Recipe
from training.train_autoencoder import distance

_RATE = 6e-4
_STEPS, _GUIDANCE = 8, 2.0  # the defaults in models.toml
_MOST_REDRAWN = 2  # steps: more would make another image than the photo


class Redrawing:
    """Adds noise to the latents of photos and denoises them by the last `count` steps of a generation."""

    def __init__(self, unet: Any, lessons: Lessons) -> None:
        self._unet = unet
        self._lessons = lessons
        self._scheduler = networks.scheduler()
        self._scheduler.set_timesteps(_STEPS)

    def __call__(self, lesson: Lesson, count: int, noise: torch.Tensor) -> torch.Tensor:
        if count == 0:
            return lesson.clean
        times = self._scheduler.timesteps[-count:].to(device())
        drawn: torch.Tensor = self._scheduler.add_noise(lesson.clean, noise, times[:1].expand(len(noise)))
        words = torch.cat([self._lessons.silence(len(noise)), lesson.words])
        for time in times:
            without, with_words = self._unet(torch.cat([drawn, drawn]), time, words).sample.float().chunk(2)
            drawn = self._scheduler.step(without + _GUIDANCE * (with_words - without), time, drawn).prev_sample
        return drawn


def train_decoder(
    folder: Path, autoencoder: Any, unet: Any, photos: NDArray[np.uint8], lessons: Lessons, recipe: Recipe
) -> Any:
    """Train the decoder and return the autoencoder; the encoder, and so every latent, is unchanged."""
    torch.manual_seed(recipe.seed)
    decoder = autoencoder.decoder.train()
    ema = Ema(decoder, 0.997)
    optimiser = torch.optim.AdamW(decoder.parameters(), betas=(0.9, 0.99), weight_decay=1e-4)
    redrawing = Redrawing(unet, lessons)

    def redrawn(number: int) -> tuple[torch.Tensor, NDArray[np.uint8]]:
        random = randomness(recipe.seed + number)
        lesson = lessons.draw(recipe.decoder_batch, random)
        noise = torch.randn(lesson.clean.shape, generator=random, device=device())
        with torch.no_grad(), half_precision():
            drawn = redrawing(lesson, number % (_MOST_REDRAWN + 1), noise)
        return drawn / networks.LATENT_SCALE, photos[lesson.photos.cpu().numpy()]

    def loss_of(latents: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        with half_precision():
            found = decoder(latents.to(memory_format=torch.channels_last))
        return distance(found.float(), wanted)

    gradient = Gradient(decoder, loss_of)

    def step(number: int) -> torch.Tensor:
        part, wanted = _same_corner(*redrawn(number), recipe.crop, number)
        loss = gradient(part, wanted.to(device()))
        follow_gradient(optimiser, rate_at(number, recipe.decoder_steps, _RATE))
        ema.update(number)
        return loss

    def show(number: int) -> None:
        drawn, shown = redrawn(number * (_MOST_REDRAWN + 1) + 1)
        with torch.inference_mode():
            found = decoder(drawn[:8]).float()
        wanted = pixels(shown[:8]).to(device())
        save_grid(folder / "decoder.png", torch.cat([wanted, found]), columns=len(wanted))

    parts = {"model": decoder, "ema": ema, "optimiser": optimiser}
    Loop("decoder", folder, parts, recipe.save_seconds).run(recipe.decoder_steps, step, show)
    decoder.load_state_dict(ema.state_dict())
    return autoencoder.eval()


def _same_corner(
    latents: torch.Tensor, photos: NDArray[np.uint8], size: int, number: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the same window of the latents and of the photos, for the whole batch. `size` is in pixels."""
    scale = photos.shape[1] // latents.shape[-1]
    room = latents.shape[-1] - size // scale + 1
    top, left = np.random.default_rng([number, 6]).integers(room, size=2)
    window = latents[..., top : top + size // scale, left : left + size // scale]
    top, left = top * scale, left * scale
    return window, pixels(photos[:, top : top + size, left : left + size])
