"""Previews of an image from the latents it is drawn in, by a linear approximation of the autoencoder's decoder.

Even a small decoder takes far longer. The factors are found when a model is loaded, by least squares over a few patches
that its own decoder decodes, so any latent space will do.
"""

from typing import TYPE_CHECKING, Any, Final, Self

import structlog

from services.inference.runtime.outputs import Preview

if TYPE_CHECKING:
    import torch

log = structlog.get_logger(__name__)

LOUD: Final = 3.0  # latents with a larger standard deviation are noise
SAMPLES: Final = 8
CELLS: Final = 4  # on each side of a sample; a cell has one latent value
CELL: Final = 4  # latent pixels on each side of a cell: a decoder makes nothing of noise that changes in every pixel


class LatentColours:
    """A linear map from latents to colours.

    `factors` is (channels + 1) x 3: the red, green and blue that each channel adds, and a constant in the last row.
    """

    def __init__(self, factors: "torch.Tensor") -> None:
        self._factors = factors

    @classmethod
    def of(cls, pipeline: Any) -> Self | None:
        """Fit the map to a pipeline's decoder, or return None without one. The global random state is left as it is."""
        try:
            return cls(_fitted(pipeline.vae))
        except Exception as exc:  # noqa: BLE001 - any pipeline may fail in its own way, and draws as well without previews
            log.info("no previews of this model", reason=f"{type(exc).__name__}: {exc}")
            return None

    def previews(self, latents: "torch.Tensor") -> list[Preview]:
        """Return a preview for each image in latents of batch x channels x height x width, in their size.

        Packed latents, which have another shape, give none.
        """
        import torch
        from PIL import Image

        if latents.ndim != 4:
            return []
        scaled = latents.float()
        # Some schedulers keep their noise far above the range of a decoder. Images deviate by 1, dark ones by 2.5.
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
