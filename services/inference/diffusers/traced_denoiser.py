"""The denoiser without Python: its operators are traced once, and torch runs them by itself from then on."""

import warnings
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from services.inference.diffusers.hardware import Hardware

if TYPE_CHECKING:
    import torch

_TEXT_LAYERS = (".attn2.to_k", ".attn2.to_v")


def trace_denoiser(denoiser: Any, hardware: Hardware) -> None:
    """Replace `forward` of a denoiser that can be traced; leave others alone."""
    if traced := TracedDenoiser.of(denoiser, hardware):
        denoiser.forward = traced


class TracedDenoiser:
    """Stands in for the method `forward` of a UNet2DConditionModel; the answers are the same to the bit.

    What cross-attention makes of the text is the same in every step, so it is made once a call and kept for as long as
    the embedded text.

    Measured with studio-tiny on two Zen 4 cores: a step for 1, 4 and 16 pictures takes 30, 17 and 8 % less time.
    """

    def __init__(self, unet: Any) -> None:
        from torch.utils.weak import WeakIdKeyDictionary

        self._unet, self._forward = unet, unet.forward
        layers = [layer for name, layer in unet.named_modules() if name.endswith(_TEXT_LAYERS)]
        self._projections = [(layer.forward, layer.weight.dtype) for layer in layers]
        self._projected = WeakIdKeyDictionary()
        self._given: Sequence[torch.Tensor] = ()  # what the layers make of the text, while a step is under way
        for number, layer in enumerate(layers):
            layer.forward = partial(self._answer, number)
        # A program is for any number and size of pictures, but for one thing: diffusers goes another way up where a
        # side cannot be halved as often as on the way down. So there are two at most; torch never frees what describes
        # one, which is 25 MB for studio-tiny and 90 for Stable Diffusion 1.5.
        self._programs: dict[bool, Any] = {}
        self._divisor = 2**unet.num_upsamplers

    @classmethod
    def of(cls, denoiser: Any, hardware: Hardware) -> Self | None:
        """None for other denoisers, on a GPU, where nobody has measured what it gains, and where torch cannot trace.

        Nor where the UNet itself changes the text first.
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
        """As the UNet's own with `return_dict=False`. Other options, as SDXL's, are heeded, but nothing is traced."""
        import torch

        text = encoder_hidden_states
        if text not in self._projected:
            self._projected[text] = tuple(project(text.to(dtype)) for project, dtype in self._projections)
        # Schedulers count in whole numbers or not; in a program the difference would be for ever.
        inputs = (sample, torch.as_tensor(timestep, dtype=torch.float32), text, *self._projected[text])
        if any(value is not None for name, value in options.items() if name != "return_dict"):
            return (self._step(*inputs, **options),)
        divisible = all(side % self._divisor == 0 for side in sample.shape[-2:])
        if divisible not in self._programs:
            self._programs[divisible] = self._trace(inputs)
        return (self._programs[divisible](*inputs),)

    def _trace(self, inputs: "Sequence[torch.Tensor]") -> Any:
        """A module is traced, not a function: that would be given weights for constants, and fold them."""
        import torch

        step = torch.nn.Module()
        step.unet, step.forward = self._unet, self._step
        example = tuple(each[:1].clone() if each.dim() else each for each in inputs)  # is kept as long as the program
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that it is deprecated, and of each number that it takes for granted
            return torch.jit.trace(step, example, check_trace=False)  # type: ignore[no-untyped-call]

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
