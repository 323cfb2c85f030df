"""Trains the denoiser on latents of the photos and fresh captions of their scenes."""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from training import networks
from training.captions import write_caption
from training.grid import save_grid
from training.loop import Ema, Loop, descend, device, half_precision, rate_at
from training.photos import scene_of
from training.recipe import Recipe

SHOWN = (
    *("a red mug on a white background", "a matte black coffee grinder", "glossy green teapot on a wooden table"),
    *("two yellow bottles on a light blue background", "a blue vase on a pink background", "an orange bell pepper"),
    *(
        "a luxury product photo of a purple perfume flask on black glossy acrylic, dark background",
        "a white book on grey",
    ),
)


def train_unet(
    folder: Path,
    latents: NDArray[np.float16],
    read: Callable[[list[str]], torch.Tensor],
    draw: Callable[[Any, list[str]], torch.Tensor],
    templates: Mapping[str, str],
    recipe: Recipe,
) -> Any:
    """The trained model with its mean weights. `read` embeds texts; `draw(unet, texts)` shows how far it is."""
    from diffusers.models.attention_processor import AttnProcessor

    torch.manual_seed(recipe.seed)
    model = networks.unet().to(device(), memory_format=torch.channels_last)
    # Attention spelt out: on a CPU the fused one spends a fifth of a step on its gradient.
    model.set_attn_processor(AttnProcessor())
    if recipe.compiled and shutil.which("g++"):
        model.compile()  # two minutes, and then a step takes two thirds of the time
    ema = Ema(model, 0.999)
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    scheduler = networks.scheduler()

    def step(number: int) -> float:
        rng = np.random.default_rng([recipe.seed, number, 3])
        chosen = rng.integers(len(latents), size=recipe.unet_batch)
        texts = [_text(int(one), templates, rng, recipe) for one in chosen]
        clean = torch.from_numpy(latents[chosen]).float().to(device(), memory_format=torch.channels_last)
        random = torch.Generator().manual_seed(recipe.seed + number)
        noise = torch.randn(clean.shape, generator=random).to(clean)
        times = torch.randint(0, scheduler.config.num_train_timesteps, (len(clean),), generator=random).to(device())
        noisy, wanted = scheduler.add_noise(clean, noise, times), scheduler.get_velocity(clean, noise, times)
        with half_precision():
            found = model(noisy, times, read(texts)).sample
        value = descend(
            optimiser,
            functional.mse_loss(found.float(), wanted),
            rate_at(number, recipe.unet_steps, recipe.unet_rate),
        )
        ema.update(number)
        return value

    def mean() -> Any:
        other = networks.unet().to(device())
        other.load_state_dict(ema.state_dict())
        return other.eval()

    def show(_number: int) -> None:
        save_grid(folder / "unet.png", draw(mean(), list(SHOWN)), columns=len(SHOWN) // 2)

    parts = {"model": model, "ema": ema, "optimiser": optimiser}
    Loop("unet", folder, parts, recipe.save_seconds).run(recipe.unet_steps, step, show)
    return mean()


def _text(photo: int, templates: Mapping[str, str], rng: np.random.Generator, recipe: Recipe) -> str:
    if rng.random() < recipe.dropped_captions:
        return ""
    return write_caption(scene_of(recipe.seed, photo), templates, rng).text
