"""Trains the autoencoder on crops of the photos, then encodes all of them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track
from torch.nn import functional

from training import networks
from training.gradient import Gradient
from training.grid import save_grid
from training.loop import Ema, Loop, device, follow_gradient, half_precision, rate_at
from training.photos import pixels
from training.recipe import Recipe

_RATE = 1.5e-3
_ENCODED = 128  # photos at once
_NOISE = 0.08  # on the latents, so that the decoder tolerates small errors of the denoiser


def train_autoencoder(folder: Path, photos: NDArray[np.uint8], recipe: Recipe) -> Any:
    """Train the autoencoder and return it, on the device, with its mean weights."""
    torch.manual_seed(recipe.seed)
    model = networks.autoencoder().to(device(), memory_format=torch.channels_last)
    ema = Ema(model, 0.997)
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=1e-4)

    def loss_of(batch: torch.Tensor) -> torch.Tensor:
        with half_precision():
            latents = model.encoder(batch)
            noisy = latents + _NOISE * torch.randn_like(latents)
            drawn = model.decoder(noisy)
        return distance(drawn.float(), batch) + 0.05 * _spread(latents.float())

    gradient = Gradient(model, loss_of)

    def step(number: int) -> torch.Tensor:
        loss = gradient(_crops(photos, recipe, number).to(device(), memory_format=torch.channels_last))
        follow_gradient(optimiser, rate_at(number, recipe.autoencoder_steps, _RATE))
        ema.update(number)
        return loss

    def show(_number: int) -> None:
        shown = pixels(photos[:8]).to(device())
        other = networks.autoencoder().to(device())
        other.load_state_dict(ema.state_dict())
        with torch.inference_mode():
            again = other.decoder(other.encoder(shown))
        save_grid(folder / "autoencoder.png", torch.cat([shown, again]), columns=8)

    parts = {"model": model, "ema": ema, "optimiser": optimiser}
    Loop("autoencoder", folder, parts, recipe.save_seconds).run(recipe.autoencoder_steps, step, show)
    model.load_state_dict(ema.state_dict())
    return model.eval()


def encode_photos(folder: Path, model: Any, photos: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the latents, photos x channels x side x side, scaled as the pipeline expects them."""
    file = folder / "latents.npy"
    if not file.exists():
        shape = (len(photos), networks.LATENT_CHANNELS, networks.LATENT_SIDE, networks.LATENT_SIDE)
        latents = np.zeros(shape, np.float16)
        for start in track(range(0, len(photos), _ENCODED), "latents"):
            batch = pixels(photos[start : start + _ENCODED]).to(device(), memory_format=torch.channels_last)
            with torch.inference_mode(), half_precision():
                latents[start : start + len(batch)] = (
                    (networks.LATENT_SCALE * model.encoder(batch)).float().cpu().numpy()
                )
        np.save(file, latents)
    return np.load(file)  # type: ignore[no-any-return]


def _crops(photos: NDArray[np.uint8], recipe: Recipe, number: int) -> torch.Tensor:
    rng = np.random.default_rng([recipe.seed, number])
    size, room = recipe.crop, photos.shape[1] - recipe.crop + 1
    chosen = rng.integers(len(photos), size=recipe.autoencoder_batch)
    corners = rng.integers(room, size=(recipe.autoencoder_batch, 2))
    places = zip(chosen, corners, strict=True)
    return pixels(np.stack([photos[one, top : top + size, left : left + size] for one, (top, left) in places]))


def distance(drawn: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Return the mean absolute error of pixels, of differences between neighbours (edges) and of 4 x 4 means (colour).

    The squared error is added for the few large errors, which lie along outlines.
    """
    error = drawn - wanted
    edges = error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean()
    return error.abs().mean() + edges + functional.avg_pool2d(error, 4).abs().mean() + 20 * error.square().mean()


def _spread(latents: torch.Tensor) -> torch.Tensor:
    """Return the channels' distance from mean 0, standard deviation 1 and no correlation, which the denoiser assumes.

    Without this loss, all channels carry colour, and details are their small differences.
    """
    values = latents.transpose(0, 1).flatten(1)
    mean = values.mean(dim=1, keepdim=True)
    centred = values - mean
    covariance = centred @ centred.T / values.shape[1]
    return mean.square().mean() + (covariance - torch.eye(len(covariance), device=values.device)).square().mean()
