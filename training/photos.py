"""The training pictures: rendered once into one file, and later their latents beside them."""

import os
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from training.render import SIDE, render
from training.scenes import Scene, sample_scene

_CHUNK = 64


def scene_of(seed: int, number: int) -> Scene:
    """The scene of photo `number`; always the same, so scenes need not be stored."""
    return sample_scene(np.random.default_rng([seed, number]))


def render_photos(folder: Path, count: int, seed: int) -> NDArray[np.uint8]:
    """`count` x SIDE x SIDE x 3, read from the disk. Rendered by all cores where not there yet."""
    file = folder / "photos.npy"
    if not file.exists():
        fresh = file.with_suffix(".tmp")
        photos = np.lib.format.open_memmap(fresh, "w+", np.uint8, (count, SIDE, SIDE, 3))
        chunks = [(seed, start, min(start + _CHUNK, count)) for start in range(0, count, _CHUNK)]
        with get_context("spawn").Pool(os.cpu_count()) as pool:
            rendered = pool.imap(_render_chunk, chunks)
            for (_, start, end), chunk in track(zip(chunks, rendered, strict=True), "photos", len(chunks)):
                photos[start:end] = chunk
        photos.flush()
        fresh.replace(file)
    found = np.load(file, mmap_mode="r")
    if len(found) != count:
        raise ValueError(f"{file} holds {len(found)} photos, not {count}: delete it to render them again")
    return found  # type: ignore[no-any-return]


def pixels(photos: NDArray[np.uint8]) -> torch.Tensor:
    """Pictures as networks take them: batch x 3 x height x width in -1..1."""
    return torch.from_numpy(np.array(photos)).permute(0, 3, 1, 2).float() / 127.5 - 1


def _render_chunk(chunk: tuple[int, int, int]) -> NDArray[np.uint8]:
    seed, start, end = chunk
    return np.stack(
        [render(scene_of(seed, number), np.random.default_rng([seed, number, 1])) for number in range(start, end)]
    )
