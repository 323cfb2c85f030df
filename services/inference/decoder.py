"""Decodes the pictures of a call one by one, which takes a CPU less time than all at once: they stay in its caches."""

from typing import TYPE_CHECKING, Any, Self

from services.inference.hardware import Hardware

if TYPE_CHECKING:
    import torch


class Decoder:
    """Does what the last lines of diffusers' StableDiffusionPipeline do, for a part of its latents."""

    def __init__(self, pipeline: Any) -> None:
        self._vae = pipeline.vae
        self._processor = pipeline.image_processor

    @classmethod
    def of(cls, pipeline: Any, hardware: Hardware) -> Self | None:
        """None where the pipeline has to decode by itself: others scale or pack their latents in ways of their own, a
        safety checker wants to see its pictures first, and on a GPU nobody has measured what it gains.
        """
        plain = type(pipeline).__name__ == "StableDiffusionPipeline" and pipeline.safety_checker is None
        return cls(pipeline) if plain and hardware.device.type == "cpu" else None

    def decode(self, latents: "torch.Tensor") -> "torch.Tensor":
        """Pictures, count x 3 x height x width in 0..1."""
        decoded = self._vae.decode(latents / self._vae.config.scaling_factor, return_dict=False)[0]
        pictures: torch.Tensor = self._processor.postprocess(decoded, output_type="pt")
        return pictures
