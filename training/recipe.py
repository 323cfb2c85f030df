"""How much of everything a training takes."""

from dataclasses import dataclass


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
    compiled: bool = True  # the denoiser, where there is a C++ compiler
    dropped_captions: float = 0.10  # what guidance compares with
    save_seconds: float = 180.0
