"""Trains the denoiser on the latents and captions of the photos."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

from training import networks
from training.gradient import Gradient
from training.grid import save_grid
from training.lessons import Lessons
from training.loop import Ema, Loop, device, follow_gradient, half_precision, randomness, rate_at
from training.recipe import Recipe

SHOWN = (
    *("a red mug on a white background", "a matte black coffee grinder", "glossy green teapot on a wooden table"),
    *("two yellow bottles on a light blue background", "a blue vase on a pink background", "an orange bell pepper"),
    *(
        "a luxury product photo of a purple perfume flask on black glossy acrylic, dark background",
        "a white book on grey",
    ),
)


def train_unet(folder: Path, lessons: Lessons, draw: Callable[[Any, list[str]], torch.Tensor], recipe: Recipe) -> Any:
    """Train the denoiser and return it with its mean weights. `draw(unet, texts)` generates images of the progress."""
    torch.manual_seed(recipe.seed)
    model = _untrained(recipe)
    ema = Ema(model, 0.999)
    optimiser = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    scheduler = networks.scheduler()

    def loss_of(noisy: torch.Tensor, times: torch.Tensor, words: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        with half_precision():
            found = model(noisy, times, words).sample
        return functional.mse_loss(found.float(), wanted)

    gradient = Gradient(model, loss_of)

    def step(number: int) -> torch.Tensor:
        random = randomness(recipe.seed + number)
        lesson = lessons.draw(recipe.unet_batch, random, dropped=recipe.dropped_captions)
        clean = lesson.clean
        noise = torch.randn(clean.shape, generator=random, device=device()).to(clean)
        last = scheduler.config.num_train_timesteps
        times = torch.randint(last, (len(clean),), generator=random, device=device())
        noisy, wanted = scheduler.add_noise(clean, noise, times), scheduler.get_velocity(clean, noise, times)
        loss = gradient(noisy, times, lesson.words, wanted)
        follow_gradient(optimiser, rate_at(number, recipe.unet_steps, recipe.unet_rate))
        ema.update(number)
        return loss

    def mean() -> Any:
        other = networks.unet().to(device())
        other.load_state_dict(ema.state_dict())
        return other.eval()

    def show(_number: int) -> None:
        save_grid(folder / "unet.png", draw(mean(), list(SHOWN)), columns=len(SHOWN) // 2)

    parts = {"model": model, "ema": ema, "optimiser": optimiser}
    Loop("unet", folder, parts, recipe.save_seconds).run(recipe.unet_steps, step, show)
    return mean()


def _untrained(recipe: Recipe) -> Any:
    from diffusers.models.attention_processor import AttnProcessor

    model = networks.unet().to(device(), memory_format=torch.channels_last)
    if device().type == "cpu":
        # Plain attention: the gradient of the fused one takes a fifth of a step on a CPU.
        model.set_attn_processor(AttnProcessor())
    if recipe.compiled and shutil.which("g++"):
        model.compile()  # takes two minutes; a step then takes two thirds of the time
    return model
