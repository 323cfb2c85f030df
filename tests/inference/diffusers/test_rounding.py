"""Half precision is for the denoiser alone."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import pytest
import torch

from services.common.catalogue.catalogue import Model
from services.common.errors import ModelUnavailable
from services.inference.diffusers.hardware import Hardware
from services.inference.diffusers.pipelines import load_pipeline
from services.inference.diffusers.rounding import confine_rounding
from services.inference.runtime.sources import Source

pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")  # diffusers' schedulers, under numpy 2

HALF = Hardware(torch.device("cpu"), torch.bfloat16, torch.bfloat16)  # as on a GPU
MIXED = Hardware(torch.device("cpu"), torch.float32, torch.bfloat16)


def test_weights_in_half_precision(tiny: Model) -> None:
    """Weights are in half precision (a UNet's in float16), and latents and decoder in single precision."""
    pipeline = load_pipeline("AutoPipelineForText2Image", Source(tiny.source), HALF)
    given: list[Any] = []
    pipeline.unet.register_forward_pre_hook(lambda _module, arguments: given.append(arguments[0].dtype))
    steps: list[Any] = []

    def after_step(_pipeline: Any, _step: int, _time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        steps.append(tensors["latents"].dtype)
        return tensors

    drawn = _draw(pipeline, callback_on_step_end=after_step)

    assert [pipeline.unet.dtype, pipeline.text_encoder.dtype] == [torch.float16] * 2
    assert given == steps == [torch.float32] * 2
    assert pipeline.vae.dtype == drawn.dtype == torch.float32


@pytest.mark.parametrize("hardware", [HALF, MIXED], ids=["half", "mixed"])
def test_denoiser_that_is_told_the_guidance(tiny: Model, tmp_path: Path, hardware: Hardware) -> None:
    """A distilled denoiser gets its guidance embedding rounded as the latents are."""
    from diffusers import StableDiffusionPipeline, UNet2DConditionModel

    pipeline = StableDiffusionPipeline.from_pretrained(tiny.source)
    pipeline.unet = UNet2DConditionModel.from_config({**pipeline.unet.config, "time_cond_proj_dim": 16})
    pipeline.save_pretrained(tmp_path)
    distilled = load_pipeline("AutoPipelineForText2Image", Source(str(tmp_path)), hardware)
    little, much = (_draw(distilled, guidance_scale=scale) for scale in (1.0, 30.0))
    assert not torch.equal(little, much)


def test_formats(tmp_path: Path) -> None:
    """On a GPU a UNet calculates in float16, and a transformer, whose numbers may be too large for it, in bfloat16."""
    (tmp_path / "model_index.json").write_text('{"_class_name": "Any", "scheduler": ["diffusers", "Any"]}')
    loaded = "diffusers.AutoPipelineForText2Image.from_pretrained"
    with patch(loaded, return_value=SimpleNamespace()) as load:
        for folder in ("transformer", "unet"):
            (tmp_path / folder).mkdir()
            with pytest.raises(ModelUnavailable, match="a SimpleNamespace has neither a UNet nor a transformer"):
                load_pipeline("AutoPipelineForText2Image", Source(str(tmp_path)), HALF)
    formats = [call.kwargs["dtype"] for call in load.call_args_list]
    assert [each["default"] for each in formats] == [torch.bfloat16, torch.float16]
    assert [each["vae"] for each in formats] == [torch.float32] * 2


def test_weights_are_rounded_once(tiny: Model) -> None:
    """On a CPU large weights are rounded when the model is loaded, and the answers are those of late rounding."""
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
    """Latents given by keyword are rounded, other arguments are not, and neither is the answer."""
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


def _draw(pipeline: Any, **options: Any) -> torch.Tensor:
    call = {"height": 64, "width": 64, "num_inference_steps": 2, "output_type": "pt", **options}
    images: torch.Tensor = pipeline("mug", generator=torch.Generator().manual_seed(1), **call).images
    return images
