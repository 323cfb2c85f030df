"""Both ends of a call of Stable Diffusion, text and pictures, in ways that take a CPU less time than diffusers'."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

from services.inference.diffusers.hardware import Hardware

if TYPE_CHECKING:
    import torch


class PlainPipeline:
    """Does what the first and the last lines of diffusers' StableDiffusionPipeline do.

    Each text of a batch is encoded once, and most share their negative prompt. Pictures are decoded one by one, so that
    they stay in the caches.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline

    @classmethod
    def of(cls, pipeline: Any, hardware: Hardware) -> Self | None:
        """None where the pipeline has to do it: others encode for several encoders, scale or pack their latents in ways
        of their own, a safety checker wants to see its pictures first, and on a GPU nobody has measured what it gains.
        """
        plain = type(pipeline).__name__ == "StableDiffusionPipeline" and pipeline.safety_checker is None
        return cls(pipeline) if plain and hardware.device.type == "cpu" else None

    def encode(self, prompts: Sequence[str], negative_prompts: Sequence[str]) -> "dict[str, torch.Tensor]":
        """What the pipeline takes instead of texts, each count x tokens x width. No negative prompts: none needed."""
        texts = list(dict.fromkeys([*prompts, *negative_prompts]))
        encoded = self._pipeline.encode_prompt(texts, self._pipeline.device, 1, do_classifier_free_guidance=False)[0]
        named = {"prompt_embeds": prompts, "negative_prompt_embeds": negative_prompts}
        return {name: encoded[[texts.index(text) for text in wanted]] for name, wanted in named.items() if wanted}

    def decode(self, latents: "torch.Tensor") -> "torch.Tensor":
        """Pictures, count x 3 x height x width in 0..1."""
        vae = self._pipeline.vae
        decoded = vae.decode(latents / vae.config.scaling_factor, return_dict=False)[0]
        pictures: torch.Tensor = self._pipeline.image_processor.postprocess(decoded, output_type="pt")
        return pictures
