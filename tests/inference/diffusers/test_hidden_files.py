"""Files that other programs put into a model's folder are none of the model's."""

import json
from pathlib import Path

import pytest

from services.inference.diffusers.model_folder import first_fault, index_fault, variant_of

HEADER = json.dumps({"weight": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}).encode()
WEIGHTS = len(HEADER).to_bytes(8, "little") + HEADER + bytes(4)
APPLE_DOUBLE = b"\0\5\x16\7\0\2\0\0Mac OS X        "


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder in which nothing is wrong."""
    (tmp_path / "unet").mkdir()
    index = {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"]}
    (tmp_path / "model_index.json").write_text(json.dumps(index))
    (tmp_path / "unet" / "config.json").write_text("{}")
    (tmp_path / "unet" / "diffusion_pytorch_model.safetensors").write_bytes(WEIGHTS)
    return tmp_path


def test_hidden_files_are_passed_over(model: Path) -> None:
    """The `._NAME` files of macOS beside each file, copied with it to another system, are no damaged weights."""
    for file in [each for each in model.rglob("*") if each.is_file()]:
        file.with_name(f"._{file.name}").write_bytes(APPLE_DOUBLE)
    (model / "unet" / ".DS_Store").write_bytes(APPLE_DOUBLE)
    assert first_fault(model) is None
    assert variant_of(model) is None


def test_hidden_files_alone_are_no_weights(model: Path) -> None:
    """A folder that has only the hidden file beside its weights has none; it is not the one checkpoint to convert."""
    weights = model / "unet" / "diffusion_pytorch_model.safetensors"
    weights.rename(weights.with_name(f"._{weights.name}"))
    assert "has no weights" in (first_fault(model) or "")
    (model / "model_index.json").unlink()
    (model / "._model.safetensors").write_bytes(APPLE_DOUBLE)
    assert "._model" not in (index_fault(model) or "")
