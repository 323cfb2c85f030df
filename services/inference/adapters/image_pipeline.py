"""An adapter for the diffusers pipelines that draw images, if they have one UNet or transformer."""

import gc
import inspect
from abc import abstractmethod
from collections.abc import Callable, Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, cast

from services.common.errors import GenerationError
from services.common.modalities.images import ImageParams
from services.inference.diffusers.changes import change_process, changes_off
from services.inference.diffusers.hardware import (
    Hardware,
    choose_hardware,
    finish_device_work,
    free_device_cache,
    prepare_torch,
)
from services.inference.diffusers.latents import LatentColours
from services.inference.diffusers.pipelines import denoiser_of, fetch_pipeline, load_pipeline
from services.inference.diffusers.safety import has_safety_checker, withheld
from services.inference.diffusers.text_limit import TextLimit, Texts
from services.inference.diffusers.traced_denoiser import release_traced
from services.inference.diffusers.usage import Usage
from services.inference.runtime.adapter import QUIET, Cancelled, Context, Item, ModelAdapter
from services.inference.runtime.outputs import FilteredOutput, ImageOutput, Output

if TYPE_CHECKING:
    import torch
    from PIL.Image import Image


class ImagePipeline(ModelAdapter):
    """Draws images with a pipeline of the diffusers class `auto`.

    The option `precision` of a catalogue entry is auto, float32 (the same image on every CPU) or bfloat16; `off` lists
    changes of the pipeline to leave out (changes.py).
    """

    auto: ClassVar[str]
    hub_files = ("*.safetensors", "*.json", "*.txt", "*.model")  # at most: `fetch` leaves out what no component reads
    max_batch = 4

    _pipeline: Any = None
    _scheduler: Any = None
    _colours: LatentColours | None = None
    _limit: TextLimit | None = None
    _hardware: Hardware
    _context: Context = QUIET  # of the call under way
    _stage: str = ""

    def prepare_thread(self, threads: int) -> None:
        change_process(changes_off(self.model.options))
        prepare_torch(threads)

    def fetch(self) -> Path:
        return fetch_pipeline(self.source) if self.source.revision else super().fetch()

    def load(self, device: str) -> None:
        options = self.model.options
        off = changes_off(options)
        self._hardware = choose_hardware(device, "float32" if "rounding" in off else options.get("precision", "auto"))
        self._pipeline = load_pipeline(self.auto, self.source, self._hardware, off)
        self._scheduler = self._pipeline.scheduler
        # A preview would show what the checker may withhold at the end.
        self._colours = None if has_safety_checker(self._pipeline) else LatentColours.of(self._pipeline)
        self._accepted = inspect.signature(self._pipeline.__call__).parameters
        self._limit = TextLimit.of(self._pipeline)
        # A pipeline reports nothing before its first step; the text is encoded when the denoiser is called.
        denoiser_of(self._pipeline).register_forward_pre_hook(lambda *_: self._enter("denoise"))

    def batch_key(self, item: Item) -> Hashable:
        params = cast("ImageParams", item.params)
        return params.width, params.height, params.steps, params.guidance

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        import torch

        _stop_if_unwanted(batch, context)
        self._hardware.prepare_process()
        # Schedulers keep state between steps, so each call has its own.
        self._pipeline.scheduler = type(self._scheduler).from_config(self._scheduler.config)
        self._context, self._stage = context, ""
        self._enter("text-encode")
        with torch.inference_mode():
            texts = [Texts.of(item, self._limit) for item in batch]
            result = self._pipeline(**self._arguments(batch, texts, context))
            self._tell_losses(batch, texts, context)
            verdicts = withheld(result, len(batch))
            pairs = zip(result.images, verdicts, strict=True)
            return [FilteredOutput() if bad else ImageOutput(_image(values)) for values, bad in pairs]

    @property
    def trained_side(self) -> int | None:
        """The side in pixels of the images that the model was trained with; None where it does not say."""
        cells = getattr(denoiser_of(self._pipeline).config, "sample_size", None)
        return int(cells * self._pipeline.vae_scale_factor) if isinstance(cells, int) else None

    @abstractmethod
    def given(self, batch: Sequence[Item], context: Context) -> dict[str, Any]:
        """Return the arguments of a pipeline of this kind besides texts and seeds."""

    def free_cache(self) -> None:
        free_device_cache()

    def close(self) -> None:
        if self._pipeline is None:
            return
        release_traced(denoiser_of(self._pipeline))
        self._pipeline = self._scheduler = self._colours = self._limit = None
        gc.collect()
        free_device_cache()

    def _arguments(self, batch: Sequence[Item], texts: Sequence[Texts], context: Context) -> dict[str, Any]:
        """Return the arguments that this pipeline's `__call__` takes: distilled models have no negative prompt."""
        params = cast("ImageParams", batch[0].params)
        arguments = {
            "prompt": [each.prompt.text for each in texts],
            "negative_prompt": [each.negative_prompt.text for each in texts],
            "num_inference_steps": params.steps,
            "guidance_scale": params.guidance,
            **self.given(batch, context),
            "generator": [self._generator(item.seed) for item in batch],
            "output_type": "pt",
            "callback_on_step_end": self._after_step(batch, context),
        }
        return {name: value for name, value in arguments.items() if value is not None and name in self._accepted}

    def _tell_losses(self, batch: Sequence[Item], texts: Sequence[Texts], context: Context) -> None:
        usage = Usage(self._pipeline, self.model)
        for item, text in zip(batch, texts, strict=True):
            for code, message in usage.losses(cast("ImageParams", item.params), text):
                context.warn(item.job_id, code, message)

    def _after_step(self, batch: Sequence[Item], context: Context) -> Callable[..., dict[str, Any]]:
        colours = self._colours

        def after_step(pipeline: Any, step: int, _timestep: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            preview = None if colours is None else partial(colours.previews, tensors["latents"])
            context.progress(step + 1, pipeline.num_timesteps, preview)
            _stop_if_unwanted(batch, context)
            if step + 1 == pipeline.num_timesteps:
                self._enter("decode")
            return tensors

        return after_step

    def _enter(self, stage: str) -> None:
        if stage != self._stage:
            finish_device_work(self._hardware.device)
            self._context.stage(stage)
            self._stage = stage

    def _generator(self, seed: int) -> "torch.Generator":
        """Return a generator of its own for each image, so that no image depends on its batch."""
        import torch

        return torch.Generator(self._hardware.generator_device).manual_seed(seed)


def _stop_if_unwanted(batch: Sequence[Item], context: Context) -> None:
    if all(context.cancelled(item.job_id) for item in batch):
        raise Cancelled


def _image(values: "torch.Tensor") -> "Image":
    """Return the image of `values`, which are 3 x height x width in 0..1. Raise GenerationError for NaN or infinity."""
    import torch
    from PIL.Image import fromarray

    if not torch.isfinite(values).all():
        raise GenerationError("the model drew something that is no picture: its numbers overflowed")
    pixels = (values.float() * 255).round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).cpu().numpy()
    return fromarray(pixels)
