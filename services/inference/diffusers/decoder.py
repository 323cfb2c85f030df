"""How the autoencoder's decoder works off a batch."""

from typing import Any


def decode_one_by_one(pipeline: Any) -> None:
    """Decode one image after the other, and keep the weights of convolutions in the layout that is fastest for it.

    So no image depends on what is decoded beside it, and on a GPU the largest need of memory is that of one image. On a
    CPU one image stays in the cache.
    """
    import torch

    if not hasattr(pipeline, "vae"):
        return
    pipeline.vae.to(memory_format=torch.channels_last)
    if hasattr(pipeline.vae, "enable_slicing"):
        pipeline.vae.enable_slicing()
