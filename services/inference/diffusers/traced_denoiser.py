"""A denoiser whose operators are traced once; torch runs them without Python from then on."""

import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from services.inference.diffusers.hardware import Hardware
from services.inference.diffusers.programs import PROGRAMS

if TYPE_CHECKING:
    import torch

_TEXT_LAYERS = (".attn2.to_k", ".attn2.to_v")


def trace_denoiser(denoiser: Any, hardware: Hardware) -> None:
    """Replace `forward` of a denoiser that can be traced; leave others alone."""
    if traced := TracedDenoiser.of(denoiser, hardware):
        denoiser.forward = traced


def release_traced(denoiser: Any) -> None:
    """Give back what a denoiser that was traced keeps beside its weights."""
    if isinstance(denoiser.forward, TracedDenoiser):
        denoiser.forward.close()


class TracedDenoiser:
    """A replacement of the method `forward` of a UNet2DConditionModel. The results are the same to the bit.

    The keys and values that cross-attention makes of the text are the same in every step. They are computed once a call
    and kept for as long as the embedded text.
    """

    def __init__(self, unet: Any) -> None:
        from torch.utils.weak import WeakIdKeyDictionary

        self._unet, self._forward = unet, unet.forward
        layers = [layer for name, layer in unet.named_modules() if name.endswith(_TEXT_LAYERS)]
        self._projections = [(layer.forward, layer.weight.dtype) for layer in layers]
        self._projected = WeakIdKeyDictionary()
        self._given: Sequence[torch.Tensor] = ()  # the keys and values, while a step is under way
        for number, layer in enumerate(layers):
            layer.forward = partial(self._answer, number)
        # A program serves any number and size of images, with one exception: diffusers takes another way up where a
        # side cannot be halved as often as on the way down. So there are two at most, because torch keeps the
        # description of each (`just bench changes` measures its memory, programs.py gives it back).
        self._programs: dict[bool, Any] = {}
        self._divisor = 2**unet.num_upsamplers

    @classmethod
    def of(cls, denoiser: Any, hardware: Hardware) -> Self | None:
        """Return the replacement, or None for a denoiser that is not traced.

        Only a UNet2DConditionModel is traced that passes the text to cross-attention as it comes, on a CPU (the gain on
        a GPU was not measured), by a torch that can trace.
        """
        import torch
        from diffusers import UNet2DConditionModel

        if hardware.device.type != "cpu" or not isinstance(denoiser, UNet2DConditionModel):
            return None
        changes_text = denoiser.encoder_hid_proj is not None  # before cross-attention gets it
        return cls(denoiser) if hasattr(torch.jit, "trace") and not changes_text else None

    def __call__(
        self, sample: "torch.Tensor", timestep: Any, encoder_hidden_states: "torch.Tensor", **options: Any
    ) -> "tuple[torch.Tensor]":
        """Answer as the UNet does with `return_dict=False`. A step with other options, as SDXL's, is not traced."""
        import torch

        text = encoder_hidden_states
        if text not in self._projected:
            self._projected[text] = tuple(project(text.to(dtype)) for project, dtype in self._projections)
        # Some schedulers count in whole numbers and others do not; a program would be bound to one of them.
        inputs = (sample, torch.as_tensor(timestep, dtype=torch.float32), text, *self._projected[text])
        if any(value is not None for name, value in options.items() if name != "return_dict"):
            return (self._step(*inputs, **options),)
        divisible = all(side % self._divisor == 0 for side in sample.shape[-2:])
        if divisible not in self._programs:
            self._programs[divisible] = self._trace(inputs)
        return (self._programs[divisible](*inputs),)

    def _trace(self, inputs: "Sequence[torch.Tensor]") -> Any:
        """Trace a module. In a traced function, weights would be constants, and folded to other last bits."""
        import torch

        step = torch.nn.Module()
        step.unet, step.forward = self._unet, self._step
        example = tuple(each[:1].clone() if each.dim() else each for each in inputs)  # kept as long as the program
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of its deprecation, and of each number that it takes as constant
            trace = partial(torch.jit.trace, step, example, check_trace=False)
            return PROGRAMS.trace(trace)

    def close(self) -> None:
        """Forget the programs."""
        count = len(self._programs)
        self._programs.clear()
        PROGRAMS.forget(count)

    def _step(
        self,
        sample: "torch.Tensor",
        timestep: "torch.Tensor",
        text: "torch.Tensor",
        *given: "torch.Tensor",
        **options: Any,
    ) -> "torch.Tensor":
        self._given = given
        noise: torch.Tensor = self._forward(sample, timestep, text, **{**options, "return_dict": False})[0]
        self._given = ()
        return noise

    def _answer(self, number: int, _text: "torch.Tensor") -> "torch.Tensor":
        return self._given[number]
