"""The training photos, rendered once into one file."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from training.render import SIDE, render
from training.rows import make_rows
from training.scenes import Scene, sample_scene


def scene_of(seed: int, number: int) -> Scene:
    """Return the scene of photo `number`, which depends on the arguments only, so that scenes need not be stored."""
    return sample_scene(np.random.default_rng([seed, number]))


def render_photos(folder: Path, count: int, seed: int) -> NDArray[np.uint8]:
    """Return the photos, `count` x SIDE x SIDE x 3, from the disk. Raises ValueError if the file has another count."""
    return make_rows(folder / "photos.npy", (count, SIDE, SIDE, 3), np.uint8, partial(_render, seed))


def pixels(photos: NDArray[np.uint8]) -> torch.Tensor:
    """Return the photos as networks take them: batch x 3 x height x width in -1..1."""
    return torch.from_numpy(np.array(photos)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _render(seed: int, numbers: range) -> NDArray[np.uint8]:
    return np.stack([render(scene_of(seed, number), np.random.default_rng([seed, number, 1])) for number in numbers])
