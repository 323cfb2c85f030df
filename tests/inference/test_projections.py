"""Keys and values of the text are made once a call."""

import weakref
from typing import Any

import pytest
import torch

from services.common.catalogue import Model
from services.inference.hardware import Hardware
from services.inference.pipelines import load_pipeline
from services.inference.sources import Source

EXACT = Hardware(torch.device("cpu"), torch.float32, torch.float32)
LATENTS = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def denoiser(tiny: Model) -> Any:
    return load_pipeline("AutoPipelineForText2Image", Source(tiny.source), EXACT).unet


def test_each_step_takes_what_the_first_made(denoiser: Any, tiny: Model) -> None:
    """The same text is not projected again, another one is, also an equal one; and the answer stays as it was."""
    from diffusers import UNet2DConditionModel

    text = torch.randn(2, 128, 64)
    before = _answer(UNet2DConditionModel.from_pretrained(tiny.source, subfolder="unet"), text)
    assert torch.equal(_answer(denoiser, text), before)

    for layer in (part for name, part in denoiser.named_modules() if name.endswith("attn2.to_v")):
        torch.nn.init.zeros_(layer.weight)
    assert torch.equal(_answer(denoiser, text), before)
    assert not torch.equal(_answer(denoiser, text.clone()), before)


def test_nothing_is_kept_of_a_call_that_is_over(denoiser: Any) -> None:
    """A text that nobody holds any more is gone, so what was made of it is as well."""
    text = torch.randn(2, 128, 64)
    _answer(denoiser, text)
    held = weakref.ref(text)
    del text
    assert held() is None


def _answer(denoiser: Any, text: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        answer: torch.Tensor = denoiser(LATENTS, 500, text).sample
    return answer
