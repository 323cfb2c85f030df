"""How closely each picture of a call keeps to its words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import torch

_PIPELINES: Final = ("StableDiffusionPipeline", "StableDiffusionXLPipeline")


class GuidanceScales:
    """Stands in for a pipeline's one guidance scale: each picture is multiplied by its own, to the same bits as alone.

    So it is in single precision, which is what a denoiser answers in (rounding.py). A pipeline may compare it with a
    number, for which all must be on the same side, and multiply by it what words make a difference of, pictures x
    channels x height x width.
    """

    def __init__(self, scales: Sequence[float]) -> None:
        self._scales = scales

    def __gt__(self, number: float) -> bool:
        return self._scales[0] > number

    def __mul__(self, difference: "torch.Tensor") -> "torch.Tensor":
        return difference.new_tensor(self._scales).view(-1, 1, 1, 1) * difference


def takes_scales(pipeline: Any) -> bool:
    """Whether it does nothing else with a guidance scale: some tell it to the denoiser."""
    return type(pipeline).__name__ in _PIPELINES and pipeline.unet.config.time_cond_proj_dim is None
