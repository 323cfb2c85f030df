"""A traced denoiser answers as diffusers' own, without running its Python."""

import subprocess
import sys
import weakref
from typing import Any
from unittest.mock import Mock

import pytest
import torch

from services.common.catalogue.catalogue import Model
from services.inference.diffusers.hardware import Hardware
from services.inference.diffusers.pipelines import load_pipeline
from services.inference.diffusers.rounding import confine_rounding
from services.inference.diffusers.timestep import embed_timestep_once
from services.inference.diffusers.traced_denoiser import TracedDenoiser
from services.inference.runtime.sources import Source

EXACT = Hardware(torch.device("cpu"), torch.float32, torch.float32)
MIXED = Hardware(torch.device("cpu"), torch.float32, torch.bfloat16)
EVEN, UNEVEN = (8, 8), (9, 14)  # heights and widths of latents; the tiny UNet halves a side once


@pytest.fixture(params=[EXACT, MIXED], ids=["float32", "bfloat16"])
def hardware(request: pytest.FixtureRequest) -> Hardware:
    chosen: Hardware = request.param
    return chosen


@pytest.fixture
def denoiser(tiny: Model, hardware: Hardware) -> Any:
    return load_pipeline("AutoPipelineForText2Image", Source(tiny.source), hardware).unet


def test_answers_are_the_same(denoiser: Any, tiny: Model, hardware: Hardware) -> None:
    """The answers are equal to the bit for any number of images, size and time, in any order."""
    from diffusers import StableDiffusionPipeline

    pipeline = StableDiffusionPipeline.from_pretrained(tiny.source)
    embed_timestep_once(pipeline.unet)
    confine_rounding(pipeline, pipeline.unet, hardware)
    for rows, sides, time in [(2, EVEN, 500), (8, EVEN, 20.5), (32, (8, 16), 3), (1, UNEVEN, 999), (6, (15, 8), 0)]:
        step = torch.randn(rows, 4, *sides), torch.tensor(time), torch.randn(rows, 128, 64)
        assert torch.equal(_answer(denoiser, *step), _answer(pipeline.unet, *step)), (rows, sides, time)


def test_python_is_gone_after_the_first_step(denoiser: Any) -> None:
    """Layers are called once for all sizes that halve evenly, and once for the others."""
    called = Mock(return_value=None)
    denoiser.conv_in.register_forward_pre_hook(called)
    for rows, sides in [(2, EVEN), (4, (8, 10)), (2, UNEVEN), (2, (7, 7)), (2, EVEN)]:
        _answer(denoiser, torch.randn(rows, 4, *sides), 500, torch.randn(rows, 128, 64))
    assert called.call_count == 2


def test_text_is_projected_once(denoiser: Any) -> None:
    """Later steps use the keys and values of the first; another text, also an equal one, is projected anew."""
    latents, text = torch.randn(2, 4, *EVEN), torch.randn(2, 128, 64)
    before = _answer(denoiser, latents, 500, text)

    for layer in (part for name, part in denoiser.named_modules() if name.endswith("attn2.to_v")):
        torch.nn.init.zeros_(layer.weight)
    assert torch.equal(_answer(denoiser, latents, 500, text), before)
    assert not torch.equal(_answer(denoiser, latents, 500, text.clone()), before)


def test_nothing_is_kept_of_a_call_that_is_over(denoiser: Any) -> None:
    """A text that is not referenced any more is freed, and its keys and values with it."""
    text = torch.randn(2, 128, 64)
    _answer(denoiser, torch.randn(2, 4, *EVEN), 500, text)
    held = weakref.ref(text)
    del text
    assert held() is None


def test_other_options_reach_diffusers(denoiser: Any) -> None:
    """A step with more arguments than latents, time and text is computed by diffusers, with all of them."""
    step = torch.randn(2, 4, *EVEN), 500, torch.randn(2, 128, 64)
    plain = _answer(denoiser, *step)
    called = Mock(return_value=None)
    denoiser.conv_in.register_forward_pre_hook(called)

    found = _answer(denoiser, *step, encoder_attention_mask=torch.arange(128).expand(2, -1) < 64)

    assert called.call_count == 1
    assert not torch.equal(found, plain)


def test_denoisers_that_are_not_traced(tiny: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """Denoisers on a GPU, transformers, UNets that change the text, and a torch without tracing are left alone."""
    unet = load_pipeline("AutoPipelineForText2Image", Source(tiny.source), EXACT).unet
    gpu = Hardware(torch.device("cuda"), torch.bfloat16, torch.bfloat16)
    assert TracedDenoiser.of(unet, gpu) is None
    assert TracedDenoiser.of(torch.nn.Linear(1, 1), EXACT) is None
    with monkeypatch.context() as patched:
        patched.setattr(unet, "encoder_hid_proj", torch.nn.Identity())
        assert TracedDenoiser.of(unet, EXACT) is None
    monkeypatch.delattr(torch.jit, "trace")
    assert TracedDenoiser.of(unet, EXACT) is None


def _answer(
    denoiser: Any, latents: torch.Tensor, time: Any, text: torch.Tensor, **options: torch.Tensor
) -> torch.Tensor:
    with torch.inference_mode():
        answer: torch.Tensor = denoiser(latents, time, text, **options, return_dict=False)[0]
    return answer


# In a process of its own: torch's registry is that of the process, and other tests have programs in it.
FORGETTING = """
import sys, warnings
import torch
from services.inference.diffusers.hardware import Hardware
from services.inference.diffusers.pipelines import load_pipeline
from services.inference.diffusers.programs import registered
from services.inference.diffusers.traced_denoiser import release_traced
from services.inference.runtime.sources import Source

exact, step = Hardware(torch.device("cpu"), torch.float32, torch.float32), (torch.randn(2, 4, 8, 8), torch.tensor(5))
text, ones = torch.randn(2, 128, 64), torch.ones(1, 2)

def answer(unet):
    with torch.inference_mode():
        return unet(*step, text, return_dict=False)[0]

unets = [load_pipeline("AutoPipelineForText2Image", Source(sys.argv[1]), exact).unet for _ in range(2)]
answers = [answer(unet) for unet in unets]
traced = registered()
release_traced(unets[0])
print(traced > 0, registered() == traced, torch.equal(answer(unets[1]), answers[1]))
release_traced(unets[1])
print(registered())

warnings.simplefilter("ignore")
foreign = torch.jit.trace(torch.nn.Linear(2, 2), ones)
answers[0], known = answer(unets[0]), foreign(ones)
release_traced(unets[0])
print(registered() > 0, torch.equal(foreign(ones), known))
"""


def test_programs_are_forgotten_with_the_last_model(tiny: Model) -> None:
    """Programs go with the last model that is closed; before, and while another library has one, all of them stay."""
    done = subprocess.run(
        [sys.executable, "-c", FORGETTING, tiny.source], capture_output=True, text=True, timeout=100, check=False
    )
    assert (done.stdout.splitlines(), done.returncode) == (["True True True", "0", "True True"], 0), done.stderr
