"""What a UNet makes of the time is the same for every picture of a call, so it is made for one."""

from typing import Any


def embed_timestep_once(denoiser: Any) -> None:
    """A UNet2DConditionModel of which all rows are at the same step, as in every pipeline; others are left alone.

    Not to save time, which it hardly does: a matrix product of a few rows is summed in another order for another number
    of them, and this one, which every layer heeds, was all that made studio-tiny draw other bits in a batch than alone.
    """
    if not hasattr(denoiser, "get_time_embed") or denoiser.config.class_embeddings_concat:
        return
    embed = denoiser.get_time_embed
    # One row is broadcast over what it is added to; only what is put beside it, as above, must have as many.
    denoiser.get_time_embed = lambda sample, timestep: embed(sample=sample[:1], timestep=timestep)
