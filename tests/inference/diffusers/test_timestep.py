"""The timestep embedding of a UNet, which is the same for every image of a call."""

from copy import deepcopy
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from services.common.catalogue.catalogue import Model
from services.inference.diffusers.hardware import Hardware
from services.inference.diffusers.pipelines import load_pipeline
from services.inference.diffusers.timestep import embed_timestep_once
from services.inference.runtime.sources import Source


@pytest.fixture
def denoiser(tiny: Model) -> Any:
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel.from_pretrained(tiny.source, subfolder="unet").requires_grad_(requires_grad=False)


def test_one_row_for_all_images(denoiser: Any) -> None:
    """The embedding is computed for one row, and the answer for each image is that of diffusers."""
    plain, rows = deepcopy(denoiser), []
    denoiser.time_embedding.register_forward_pre_hook(lambda _module, arguments: rows.append(len(arguments[0])))
    embed_timestep_once(denoiser)
    for size, time in [(1, 999), (6, torch.tensor(500)), (32, torch.tensor(3.5))]:
        step = torch.randn(size, 4, 8, 8), time, torch.randn(size, 128, 64)
        found, expected = (each(*step, return_dict=False)[0] for each in (denoiser, plain))
        assert torch.allclose(found, expected, atol=1e-5)
    assert rows == [1] * 3


def test_pipeline_that_is_loaded(tiny: Model) -> None:
    """The UNet of a loaded pipeline embeds the timestep for one row."""
    exact = Hardware(torch.device("cpu"), torch.float32, torch.float32)
    unet = load_pipeline("AutoPipelineForText2Image", Source(tiny.source), exact).unet
    assert unet.get_time_embed(sample=torch.zeros(6, 4, 8, 8), timestep=500).shape[0] == 1


def test_denoisers_that_need_all_rows(denoiser: Any) -> None:
    """A UNet that concatenates the embedding keeps a row for each image; other denoisers stay as they are."""
    denoiser.register_to_config(class_embeddings_concat=True)
    embed_timestep_once(denoiser)
    assert "get_time_embed" not in vars(denoiser)
    transformer = SimpleNamespace()
    embed_timestep_once(transformer)
    assert not vars(transformer)
