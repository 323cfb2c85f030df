"""The amounts of a training: photos, steps and batch sizes."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Recipe:
    """The defaults take about two hours on two CPU cores; a test uses far smaller numbers."""

    seed: int = 20_261_124
    photos: int = 24_000
    autoencoder_steps: int = 4_800
    autoencoder_batch: int = 24
    crop: int = 64  # pixels; the side of the autoencoder's training images
    text_steps: int = 900
    text_batch: int = 64
    unet_steps: int = 8_400
    unet_batch: int = 32
    unet_rate: float = 1e-3
    decoder_steps: int = 1_500
    decoder_batch: int = 32
    compiled: bool = True  # compile the denoiser if there is a C++ compiler
    dropped_captions: float = 0.10  # share of empty captions, which guidance compares with
    save_seconds: float = 180.0


CPU: Final = Recipe()
# The same networks with far larger numbers, in a tenth of the time.
GPU: Final = Recipe(
    photos=40_000,
    autoencoder_steps=9_000,
    autoencoder_batch=64,
    unet_steps=13_000,
    unet_batch=256,
    unet_rate=5e-4,
    decoder_steps=1_800,
    decoder_batch=128,
    compiled=False,
    save_seconds=60.0,
)
