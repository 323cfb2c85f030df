"""How much of everything a training takes."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Recipe:
    """The defaults fit two CPU cores and about two hours; a test trains on next to nothing."""

    seed: int = 20_261_124
    photos: int = 24_000
    autoencoder_steps: int = 4_800
    autoencoder_batch: int = 24
    crop: int = 64  # pixels, of the pictures the autoencoder sees
    text_steps: int = 900
    text_batch: int = 64
    unet_steps: int = 8_400
    unet_batch: int = 32
    unet_rate: float = 1e-3
    decoder_steps: int = 1_500
    decoder_batch: int = 32
    compiled: bool = True  # the denoiser, where there is a C++ compiler
    dropped_captions: float = 0.10  # what guidance compares with
    save_seconds: float = 180.0


CPU: Final = Recipe()
# The same networks, and far more of everything in a tenth of the time.
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
