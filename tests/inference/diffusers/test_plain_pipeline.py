"""Text and pictures of Stable Diffusion as the adapter makes them, beside what diffusers makes."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from services.common.catalogue import Model
from services.inference.diffusers.hardware import Hardware
from services.inference.diffusers.pipelines import load_pipeline
from services.inference.diffusers.plain_pipeline import PlainPipeline
from services.inference.runtime.sources import Source

pytestmark = pytest.mark.filterwarnings("ignore:__array_:DeprecationWarning")  # diffusers' schedulers, under numpy 2

EXACT = Hardware(torch.device("cpu"), torch.float32, torch.float32)
PROMPTS = ["mug", "shoe", "mug"]
NEGATIVE = ["blurry", "blurry", "dark"]


@pytest.fixture
def pipeline(tiny: Model) -> Iterator[Any]:
    with torch.inference_mode():
        yield load_pipeline("AutoPipelineForText2Image", Source(tiny.source), EXACT)


@pytest.mark.parametrize("guidance", [0.0, 4.0])
def test_draws_what_diffusers_draws(pipeline: Any, guidance: float) -> None:
    """Pictures made of what it encodes, and decoded by it, are those of the pipeline by itself, to 1 of 255."""
    plain = PlainPipeline.of(pipeline, EXACT)
    assert plain is not None
    expected = pipeline(PROMPTS, negative_prompt=NEGATIVE, output_type="pt", **_call(guidance)).images
    texts = plain.encode(PROMPTS, NEGATIVE if guidance else [])
    drawn = plain.decode(pipeline(**texts, output_type="latent", **_call(guidance)).images)
    assert (drawn - expected).abs().max() <= 1 / 255
    assert (drawn[0] - drawn[1]).abs().max() > 10 / 255


def test_each_text_is_encoded_once(pipeline: Any) -> None:
    """Prompts and negative prompts that several pictures share cost one row of the text encoder."""
    plain = PlainPipeline.of(pipeline, EXACT)
    assert plain is not None
    rows: list[int] = []
    pipeline.text_encoder.register_forward_pre_hook(lambda _module, arguments: rows.append(len(arguments[0])))
    texts = plain.encode(PROMPTS, NEGATIVE)
    assert rows == [4]
    assert [len(each) for each in texts.values()] == [3, 3]
    assert torch.equal(texts["prompt_embeds"][0], texts["prompt_embeds"][2])


def test_others_do_it_themselves(pipeline: Any) -> None:
    """A pipeline of another class, on a GPU or with a safety checker, encodes and decodes as it likes."""
    assert PlainPipeline.of(pipeline, Hardware(torch.device("cuda"), torch.bfloat16, torch.bfloat16)) is None
    pipeline.safety_checker = object()
    assert PlainPipeline.of(pipeline, EXACT) is None
    assert PlainPipeline.of(object(), EXACT) is None


def _call(guidance: float) -> dict[str, Any]:
    return {
        "height": 64,
        "width": 64,
        "num_inference_steps": 3,
        "guidance_scale": guidance,
        "generator": [torch.Generator().manual_seed(seed) for seed in range(len(PROMPTS))],
    }
