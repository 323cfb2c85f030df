"""The training data of the denoiser and later of the decoder: latents of photos with their captions."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from training import networks
from training.captions import write_caption
from training.loop import device
from training.photos import scene_of
from training.rows import make_rows
from training.train_text_encoder import load_tokenizer, tokenize

_CAPTIONS = 8  # of each photo: writing and tokenizing new ones for every step would keep a GPU waiting

Read = Callable[[torch.Tensor], torch.Tensor]


@dataclass(frozen=True)
class Lesson:
    """A batch: the numbers of the photos, their latents (`clean`), and the text encoder's output for the captions."""

    photos: torch.Tensor
    clean: torch.Tensor
    words: torch.Tensor


class Lessons:
    """All training data, on the device. `read` embeds tokens (batch x TOKENS)."""

    def __init__(
        self, latents: NDArray[np.float16], captions: NDArray[np.int16], nothing: torch.Tensor, read: Read
    ) -> None:
        self._latents = torch.from_numpy(latents).to(device())
        self._captions = torch.from_numpy(np.array(captions)).to(device())
        self._nothing = nothing.to(self._captions)
        self._read = read

    def draw(self, count: int, random: torch.Generator, *, dropped: float = 0.0) -> Lesson:
        """Draw `count` photos at random; the share `dropped` gets no caption. `random` is a generator of the device."""
        photos = torch.randint(len(self._latents), (count,), generator=random, device=device())
        which = torch.randint(_CAPTIONS, (count,), generator=random, device=device())
        silent = torch.rand(count, generator=random, device=device()) < dropped
        tokens = torch.where(silent[:, None], self._nothing, self._captions[photos, which])
        clean = self._latents[photos].float().contiguous(memory_format=torch.channels_last)
        return Lesson(photos, clean, self._read(tokens.long()))

    def silence(self, count: int) -> torch.Tensor:
        """Return the embeddings of `count` empty captions."""
        return self._read(self._nothing.long()[None]).expand(count, -1, -1)


def write_captions(folder: Path, count: int, templates: Mapping[str, str], seed: int) -> NDArray[np.int16]:
    """Write captions for `count` photos, as tokens: photos x captions x TOKENS. Needs the tokenizer in `folder`."""
    shape = (count, _CAPTIONS, networks.TOKENS)
    return make_rows(folder / "captions.npy", shape, np.int16, partial(_write, folder, dict(templates), seed))


def _write(folder: Path, templates: Mapping[str, str], seed: int, numbers: range) -> NDArray[np.int16]:
    rng = np.random.default_rng([seed, numbers.start, 3])
    scenes = [scene_of(seed, number) for number in numbers]
    texts = [write_caption(scene, templates, rng).text for scene in scenes for _ in range(_CAPTIONS)]
    found: NDArray[np.int16] = tokenize(_tokenizer(folder), texts).numpy().astype(np.int16)
    return found.reshape(len(numbers), _CAPTIONS, networks.TOKENS)


@cache
def _tokenizer(folder: Path) -> Any:
    return load_tokenizer(folder)
