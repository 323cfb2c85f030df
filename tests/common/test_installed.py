"""A model counts as installed when a worker could load it without a download."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pydantic
import pytest
from huggingface_hub import try_to_load_from_cache

from services.common.catalogue.caches import hub_cache
from services.common.catalogue.catalogue import Model
from services.common.catalogue.installed import is_installed
from services.common.errors import ModelUnavailable
from services.inference.runtime.fetching.packages import fetch_package
from tests.support.models.items import tiny_model

REVISION = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"
PIPELINE: dict[str, object] = {
    "_class_name": "StableDiffusionPipeline",
    "scheduler": ["diffusers", "DDIMScheduler"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "safety_checker": [None, None],
}


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of an empty cache of the hub."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def on_hub() -> Model:
    return tiny_model(source="hub:someone/red-mugs", revision=REVISION)


def fill(cache: Path, *files: str, index: dict[str, object] | None = None, revision: str = REVISION) -> Path:
    """Put a model into the cache as huggingface_hub lays it out: links to files that are named by their digest."""
    blobs = cache / "models--someone--red-mugs" / "blobs"
    snapshot = blobs.parent / "snapshots" / revision
    contents = dict.fromkeys(files, "{}") | ({"model_index.json": json.dumps(index)} if index else {})
    for number, (name, text) in enumerate(contents.items()):
        blobs.mkdir(parents=True, exist_ok=True)
        (blobs / f"{number}").write_text(text)
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(blobs / f"{number}")
    return snapshot


def test_folder(tmp_path: Path) -> None:
    """A folder beside the catalogue is installed once it exists, and a file in its place is not."""
    model = tiny_model(source="weights")
    assert not is_installed(model, tmp_path)
    (tmp_path / "weights").touch()
    assert not is_installed(model, tmp_path)
    (tmp_path / "weights").unlink()
    (tmp_path / "weights").mkdir()
    assert is_installed(model, tmp_path)
    assert is_installed(tiny_model(source=str(tmp_path / "weights")), Path("/nowhere"))


@pytest.mark.parametrize("source", ["~no-such-user/weights", "wei\0ghts", "x" * 300])
def test_folder_that_cannot_be(source: str, tmp_path: Path) -> None:
    """A source that the operating system refuses is not installed."""
    assert not is_installed(tiny_model(source=source), tmp_path)


def test_pipeline_on_the_hub(cache: Path, tmp_path: Path) -> None:
    """A pipeline is installed once each part that its index lists is there with its weights."""
    assert not is_installed(on_hub(), tmp_path)
    snapshot = fill(cache, "scheduler/scheduler_config.json", "unet/config.json", index=PIPELINE)
    assert try_to_load_from_cache("someone/red-mugs", "unet/config.json", cache, REVISION), "not the layout of the hub"
    assert not is_installed(on_hub(), tmp_path), "its weights are missing"
    (snapshot / "unet" / "diffusion_pytorch_model.safetensors").touch()
    assert is_installed(on_hub(), tmp_path)
    shutil.rmtree(snapshot / "scheduler")
    assert not is_installed(on_hub(), tmp_path), "a part is missing"


def test_other_revision(cache: Path, tmp_path: Path) -> None:
    """Another revision of a model is not the one that the catalogue names."""
    fill(cache, "unet/config.json", "unet/model.safetensors", "scheduler/a.json", index=PIPELINE, revision="0" * 40)
    assert not is_installed(on_hub(), tmp_path)


def test_shards(cache: Path, tmp_path: Path) -> None:
    """Weights in several files are installed once all files that their index names are there."""
    snapshot = fill(cache, "config.json", "model-00001-of-00002.safetensors")
    shards = {f"layer{each}": f"model-0000{each}-of-00002.safetensors" for each in (1, 2)}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps({"weight_map": shards}))
    assert not is_installed(on_hub(), tmp_path)
    (snapshot / "model-00002-of-00002.safetensors").touch()
    assert is_installed(on_hub(), tmp_path)


@pytest.mark.parametrize("weights", ["model.bin", "model.safetensors", "model.onnx"])
def test_model_without_an_index(weights: str, cache: Path, tmp_path: Path) -> None:
    """A model of another library, such as faster-whisper, is installed once its weights lie beside its config."""
    snapshot = fill(cache, "config.json", "tokenizer.json")
    assert not is_installed(on_hub(), tmp_path)
    (snapshot / weights).symlink_to(cache / "deleted")
    assert not is_installed(on_hub(), tmp_path), "the file that is linked to is gone"
    (snapshot / weights).unlink()
    (snapshot / weights).touch()
    assert is_installed(on_hub(), tmp_path)


def test_damaged_index(cache: Path, tmp_path: Path) -> None:
    """A cache that holds something else than JSON of a pipeline has no model."""
    snapshot = fill(cache, "config.json", "model.safetensors")
    for text in ("", "[]", "{}", "null", '{"a": 1}', "\xff"):
        (snapshot / "model_index.json").write_text(text, encoding="latin-1")
        assert not is_installed(on_hub(), tmp_path), text


@pytest.fixture(params=["HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", None])
def variable(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Leave only this variable set, as a user may."""
    for each in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(each, raising=False)
    if request.param:
        monkeypatch.setenv(request.param, "$HOME/somewhere")
    name: str | None = request.param
    return name


def test_place_of_the_cache(variable: str | None) -> None:
    """The cache is looked for where huggingface_hub keeps it, by the same variables."""
    told = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True, timeout=60)
    assert str(hub_cache()) == done.stdout.strip(), variable


def in_a_package(version: str = pydantic.VERSION, path: str = "pydantic/__init__.py", **changes: str) -> Model:
    digest = hashlib.sha256(Path(pydantic.__file__).read_bytes()).hexdigest()
    facts = {"source": f"pypi:pydantic=={version}/{path}", "sha256": digest, **changes}
    return tiny_model().model_copy(update=facts)


def test_package_beside_our_own_code(cache: Path) -> None:
    """Weights in a package that is installed here, in this version, need no download: they are read where they lie."""
    model = in_a_package()
    assert is_installed(model, Path("/nowhere"))
    fetch_package(model)
    assert model.package is not None
    assert model.package.location == Path(pydantic.__file__)
    assert not is_installed(in_a_package(version="0.0.1"), Path("/nowhere"))
    assert not is_installed(in_a_package(path="pydantic/weights.onnx"), Path("/nowhere"))


def test_installed_package_with_another_file(cache: Path) -> None:
    """A file of an installed package that is not the pinned one is not used, and the package is named."""
    with pytest.raises(ModelUnavailable, match=f"install it again as pydantic=={pydantic.VERSION}"):
        fetch_package(in_a_package(sha256="0" * 64))
