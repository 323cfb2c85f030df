"""Half precision is for the denoiser alone."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from services.common.catalogue import Model
from services.inference.hardware import Hardware
from services.inference.pipelines import load_pipeline
from services.inference.rounding import confine_rounding
from services.inference.sources import Source

pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")  # diffusers' schedulers, under numpy 2

HALF = Hardware(torch.device("cpu"), torch.bfloat16, torch.bfloat16)  # as on a GPU
MIXED = Hardware(torch.device("cpu"), torch.float32, torch.bfloat16)


def test_weights_in_half_precision(tiny: Model) -> None:
    """Where the weights are halved (a UNet's to float16), latents on their way and the decoder are not."""
    pipeline = load_pipeline("AutoPipelineForText2Image", Source(tiny.source), HALF)
    given: list[Any] = []
    pipeline.unet.register_forward_pre_hook(lambda _module, arguments: given.append(arguments[0].dtype))
    steps: list[Any] = []

    def after_step(_pipeline: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(tensors["latents"].dtype)
        return tensors

    drawn = pipeline(
        "mug", height=64, width=64, num_inference_steps=2, callback_on_step_end=after_step, output_type="pt"
    )

    assert [pipeline.unet.dtype, pipeline.text_encoder.dtype] == [torch.float16] * 2
    assert given == steps == [torch.float32] * 2
    assert pipeline.vae.dtype == drawn.images.dtype == torch.float32


def test_weights_are_rounded_once(tiny: Model) -> None:
    """A CPU's denoiser keeps its large weights as it multiplies them, and answers as if they were rounded late."""
    from diffusers import UNet2DConditionModel

    rounded = load_pipeline("AutoPipelineForText2Image", Source(tiny.source), MIXED).unet
    exact = UNet2DConditionModel.from_pretrained(tiny.source, subfolder="unet")
    weights = {name: weight.dtype for name, weight in rounded.named_parameters()}
    latents, text = torch.randn(2, 4, 8, 8), torch.randn(2, 128, 64)

    with torch.inference_mode():
        (found,) = rounded(latents, 500, text)
        with torch.autocast("cpu", torch.bfloat16):
            (expected,) = exact(latents, 500, text, return_dict=False)

    assert weights["conv_in.weight"] == weights["time_embedding.linear_1.bias"] == torch.bfloat16
    assert weights["conv_norm_out.weight"] == torch.float32
    assert torch.equal(found, expected.float())


def test_transformer_that_is_called_by_keywords() -> None:
    """Its latents are halved whatever they are called, what else it is given stays as it is, and its answer is not."""
    given: dict[str, torch.dtype] = {}

    def forward(**arguments: Any) -> tuple[torch.Tensor]:
        given.update({name: value.dtype for name, value in arguments.items() if name != "return_dict"})
        return (arguments["hidden_states"],)

    def prepare(count: int, dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(count, dtype=dtype)

    denoiser, pipeline = SimpleNamespace(forward=forward), SimpleNamespace(prepare_latents=prepare)
    confine_rounding(pipeline, denoiser, HALF)
    latents = pipeline.prepare_latents(1, torch.bfloat16)
    (found,) = denoiser.forward(hidden_states=latents, img_ids=torch.zeros(1))

    assert latents.dtype == found.dtype == torch.float32
    assert given == {"hidden_states": torch.bfloat16, "img_ids": torch.float32}
