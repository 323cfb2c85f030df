"""A small classifier of images, trained on renders only, of all pairs of product and colour."""

from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional

from training.captions import FACTS
from training.loop import Loop, descend, device, half_precision, rate_at
from training.photos import pixels
from training.render import render
from training.scenes import Scene, sample_scene

ASKED: Final = ("product", "colour", "background")
_SEED: Final = 7
_STEPS: Final = 2_000
_BATCH: Final = 48
_PHOTOS: Final = 9_000


class Judge(nn.Module):
    """Maps images of 128 x 128 in -1..1 to scores for each of ASKED."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, 48, 64, 96, 128)
        stages: list[nn.Module] = [nn.AvgPool2d(2)]
        for before, after in pairwise(widths):
            stages += [nn.Conv2d(before, after, 3, stride=2, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
            stages += [nn.Conv2d(after, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU()]
        self.body = nn.Sequential(*stages, nn.Flatten(), nn.Dropout(0.2))
        self.heads = nn.ModuleList(nn.Linear(widths[-1] * 16, len(FACTS[name])) for name in ASKED)

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        seen = self.body(images)
        return [head(seen) for head in self.heads]


def train_judge(folder: Path) -> Judge:
    """Train the judge, or load it from `folder` if it has been trained."""
    torch.manual_seed(_SEED)
    model = Judge()
    model.to(device()).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimiser = torch.optim.AdamW(model.parameters(), weight_decay=0.02)
    photos: list[NDArray[np.uint8]] = []
    scenes: list[Scene] = []

    def step(number: int) -> torch.Tensor:
        if not photos:
            photos[:], scenes[:] = render_exam(_SEED, _PHOTOS)
        chosen = np.random.default_rng([_SEED, number]).integers(len(photos), size=_BATCH)
        images = pixels(np.stack([photos[one] for one in chosen])).to(device(), memory_format=torch.channels_last)
        # Images of a model are a little softer and noisier than renders; the judge must ignore both.
        if number % 2:
            images = functional.interpolate(functional.avg_pool2d(images, 2), scale_factor=2.0, mode="bilinear")
        images = images + 0.04 * torch.randn_like(images)
        wanted = labels_of([scenes[one] for one in chosen])
        with half_precision():
            scores = model(images)
        losses = [functional.cross_entropy(score.float(), wanted[:, place]) for place, score in enumerate(scores)]
        return descend(optimiser, torch.stack(losses).sum(), rate_at(number, _STEPS, 2e-3))

    Loop("judge", folder, {"model": model, "optimiser": optimiser}, 120).run(_STEPS, step, lambda _number: None)
    return model.eval()


def render_exam(seed: int, count: int) -> tuple[list[NDArray[np.uint8]], list[Scene]]:
    """Return `count` renders of trained and held-out pairs, with their scenes."""
    rng = np.random.default_rng(seed)
    scenes = [sample_scene(rng, held_out=bool(rng.random() < 0.12)) for _ in range(count)]
    return [render(scene, rng) for scene in scenes], scenes


def labels_of(scenes: list[Scene]) -> torch.Tensor:
    """Return the classes of the scenes: one row a scene, one column for each of ASKED."""
    return torch.tensor(
        [[FACTS[name].index(getattr(scene, name)) for name in ASKED] for scene in scenes], device=device()
    )


def judge_images(model: Judge, images: torch.Tensor) -> torch.Tensor:
    """Return the classes of the images: images x ASKED."""
    with torch.inference_mode():
        return torch.cat(
            [
                torch.stack([score.argmax(1) for score in model(part.to(device()))], dim=1)
                for part in torch.split(images, 32)
            ]
        )
