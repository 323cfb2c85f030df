"""The timestep embedding of a UNet is computed for one row, because it is the same for every image of a call."""

from typing import Any


def embed_timestep_once(denoiser: Any) -> None:
    """Embed the timestep for one row of a UNet2DConditionModel. Other denoisers are left alone.

    All rows are at the same step in every pipeline. A product of a few rows is summed in an order that depends on their
    number. Every layer uses this projection; it was the only source of batch-dependent results in studio-tiny.
    """
    if not hasattr(denoiser, "get_time_embed") or denoiser.config.class_embeddings_concat:
        return
    embed = denoiser.get_time_embed
    # One row is broadcast where it is added; only an embedding that is concatenated with it, as above, needs all rows.
    denoiser.get_time_embed = lambda sample, timestep: embed(sample=sample[:1], timestep=timestep)
