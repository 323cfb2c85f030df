"""Loads and calls the model in the same way in every peer."""

import io
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

MODELS = Path(os.environ["PEER_MODELS"])
DEVICE = os.environ["PEER_DEVICE"]
ENTRY = next(entry for entry in tomllib.loads(MODELS.read_text())["models"].values() if entry.get("default"))
MAX_BATCH: int = ENTRY["max_batch"]
# Clients answered together send their next requests within this time; a call takes at least twenty times as long.
BATCH_WINDOW_SECONDS = 0.02


class Pictures:
    """One copy of the pipeline. Calls must not overlap, since the scheduler keeps state between the steps of a call."""

    def __init__(self) -> None:
        self._pipeline = _loaded()
        self._pipeline.set_progress_bar_config(disable=True)
        # Tells the benchmark which process holds the model.
        Path(os.environ["PEER_PID_FILE"]).write_text(str(os.getpid()))

    def draw(self, prompts: Sequence[str], seeds: Sequence[int]) -> list[bytes]:
        """Return a PNG for each prompt, all generated in one pipeline call."""
        import torch

        with torch.inference_mode():
            images = self._pipeline(
                list(prompts),
                width=ENTRY["defaults"]["width"],
                height=ENTRY["defaults"]["height"],
                num_inference_steps=ENTRY["defaults"]["steps"],
                guidance_scale=ENTRY["defaults"]["guidance"],
                generator=[torch.Generator(DEVICE).manual_seed(seed) for seed in seeds],
            ).images
        return [_png(image) for image in images]


def _loaded() -> Any:
    """Load the pipeline in the number formats of services/inference/diffusers/pipelines.py, as our worker does."""
    import torch
    from diffusers import StableDiffusionPipeline

    on_gpu = DEVICE != "cpu"
    formats = {"default": torch.float16 if on_gpu else torch.float32, "vae": torch.float32}
    pipeline = StableDiffusionPipeline.from_pretrained(
        MODELS.parent / ENTRY["source"], dtype=formats, use_safetensors=True
    )
    pipeline.to(DEVICE)
    if on_gpu:
        _decode_as_we_do(pipeline.vae)
    else:
        _compute_as_we_do(pipeline.unet)
    return pipeline


def _decode_as_we_do(decoder: Any) -> None:
    """Decode in single precision, one image after the other."""
    import torch

    decoder.to(memory_format=torch.channels_last)
    decoder.enable_slicing()
    decode = decoder.decode
    decoder.decode = lambda latents, **options: decode(latents.float(), **options)


def _compute_as_we_do(denoiser: Any) -> None:
    """Compute in bfloat16 if the CPU multiplies it, with the large weights rounded once."""
    import torch
    from torch import nn

    capabilities = torch.cpu.get_capabilities()
    if not (capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")):
        return
    for layer in denoiser.modules():
        if isinstance(layer, (nn.Linear, nn.Conv2d)):
            layer.to(torch.bfloat16)
    forward = denoiser.forward

    def rounding_inside(*arguments: Any, **options: Any) -> tuple[Any, ...]:
        with torch.autocast("cpu", torch.bfloat16):
            found = forward(*arguments, **{**options, "return_dict": False})
        return tuple(value.float() for value in found)

    denoiser.forward = rounding_inside


def _png(image: "Image") -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
