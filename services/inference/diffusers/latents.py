"""What a picture will look like, from the latents it is drawn in: a linear guess at the autoencoder's decoder.

Even a small decoder takes some hundred times as long (measured with studio-tiny's). The factors are found when a model
is loaded, by least squares over a few patches that its own decoder decodes, so any latent space will do.
"""

from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from services.inference.runtime.outputs import Preview

if TYPE_CHECKING:
    import torch

log = structlog.get_logger(__name__)

LOUD: Final = 3.0  # latents that deviate more than this are noise
SAMPLES: Final = 8
CELLS: Final = 4  # each side of a sample has so many, of one latent value each
CELL: Final = 4  # latent pixels a side: a decoder makes nothing of noise that changes from each to the next


class LatentColours:
    """`factors` is (channels + 1) x 3: what each channel, and at last a constant, add to red, green and blue."""

    def __init__(self, factors: "torch.Tensor") -> None:
        self._factors = factors

    @classmethod
    def of(cls, pipeline: Any) -> Self | None:
        """None for a pipeline that has no such decoder. Touches no random numbers but its own."""
        try:
            return cls(_fitted(pipeline.vae))
        except Exception as exc:  # noqa: BLE001 - of any pipeline there may be: it draws as well without previews
            log.info("no previews of this model", reason=f"{type(exc).__name__}: {exc}")
            return None

    def previews(self, latents: "torch.Tensor") -> list[Preview]:
        """One for each of batch x channels x height x width, as large as the latents are; none of packed ones."""
        import torch
        from PIL import Image

        if latents.ndim != 4:
            return []
        scaled = latents.float()
        # Some schedulers keep their noise far above what a decoder takes. Pictures deviate by 1, dark ones by 2.5.
        spread = scaled.std(dim=(1, 2, 3), keepdim=True)
        scaled = torch.where(spread > LOUD, scaled / spread, scaled)
        colours = torch.einsum("bchw,cd->bhwd", scaled, self._factors[:-1]) + self._factors[-1]
        pixels = ((colours / 2 + 0.5).nan_to_num().clamp(0, 1) * 255).to(torch.uint8).cpu().numpy()
        return [Preview(Image.fromarray(image)) for image in pixels]


def _fitted(vae: Any) -> "torch.Tensor":
    import torch
    from torch.nn.functional import adaptive_avg_pool2d, interpolate

    config, generator = vae.config, torch.Generator().manual_seed(0)
    cells = torch.randn(SAMPLES, config.latent_channels, CELLS, CELLS, generator=generator)
    latents = interpolate(cells, scale_factor=CELL, mode="nearest")
    shift = getattr(config, "shift_factor", None) or 0.0
    with torch.inference_mode():
        decoded = vae.decode((latents / config.scaling_factor + shift).to(vae.device, vae.dtype)).sample
    colours = adaptive_avg_pool2d(decoded.float().cpu(), latents.shape[-1]).permute(0, 2, 3, 1).reshape(-1, 3)
    channels = latents.permute(0, 2, 3, 1).reshape(len(colours), -1)
    factors: torch.Tensor = torch.linalg.lstsq(
        torch.cat([channels, torch.ones(len(channels), 1)], dim=1), colours
    ).solution
    if not torch.isfinite(factors).all():
        raise ValueError("the decoder's numbers overflowed")
    return factors.to(vae.device)
