"""Where weights come from: folders, the hub at a pinned revision, and pipelines built in code."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import pytest

from services.common.errors import ModelUnavailable
from services.inference.sources import Source, resolve_source
from tests.inference.models import placeholder_model

THIS = "build:tests.inference.test_sources"
COMMIT = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"


def build(folder: Path) -> None:
    (folder / "weights").write_text("built")


def build_halfway(folder: Path) -> None:
    (folder / "weights").write_text("half")
    raise OSError("disk full")


together = Barrier(2)


def build_together(folder: Path) -> None:
    """Ends only when another builder is at it too."""
    build(folder)
    together.wait(timeout=30)


def resolve(source: str, data_dir: Path, revision: str | None = None) -> Source:
    return resolve_source(placeholder_model(source, revision), catalogue_folder=data_dir, data_dir=data_dir)


def test_folder_relative_to_the_catalogue(tmp_path: Path) -> None:
    """A relative folder lies beside the catalogue, wherever the worker was started."""
    (tmp_path / "tiny").mkdir()
    assert resolve("tiny", tmp_path) == Source(str(tmp_path / "tiny"))


def test_missing_folder(tmp_path: Path) -> None:
    """A folder that is not there is named, with what to do."""
    with pytest.raises(ModelUnavailable, match=f"no folder {tmp_path / 'tiny'}; put the model there"):
        resolve("tiny", tmp_path)


def test_hub_model_with_its_revision(tmp_path: Path) -> None:
    """A hub model goes on as its name and the commit it is pinned to."""
    assert resolve("hub:owner/name", tmp_path, COMMIT) == Source("owner/name", COMMIT)


@pytest.mark.parametrize("revision", ["main", COMMIT[:12], COMMIT + "\n"])
def test_unpinned_hub_model(tmp_path: Path, revision: str) -> None:
    """A branch, a tag or a short hash is no pin, and the error says where to find one."""
    with pytest.raises(ModelUnavailable, match=r"huggingface\.co/owner/name/commits"):
        resolve("hub:owner/name", tmp_path, revision)


def test_hub_name_without_owner(tmp_path: Path) -> None:
    """A hub source is OWNER/NAME."""
    with pytest.raises(ModelUnavailable, match="OWNER/NAME"):
        resolve("hub:name", tmp_path, COMMIT)


def test_built_once(tmp_path: Path) -> None:
    """A built model lies under the data folder, is built the first time and then used as it is."""
    source = resolve(f"{THIS}:build", tmp_path)
    source.prepare()
    weights = tmp_path / "models" / "placeholder" / "weights"
    weights.write_text("ours")
    source.prepare()
    assert (source.location, weights.read_text()) == (str(weights.parent), "ours")


def test_half_a_build_is_not_used(tmp_path: Path) -> None:
    """A build that fails leaves nothing behind and says why."""
    source = resolve(f"{THIS}:build_halfway", tmp_path)
    with pytest.raises(ModelUnavailable, match="disk full"):
        source.prepare()
    assert list((tmp_path / "models").iterdir()) == []


def test_two_workers_build_at_once(tmp_path: Path) -> None:
    """Two workers that start together both find a whole model, and no leftovers."""
    source = resolve(f"{THIS}:build_together", tmp_path)
    with ThreadPoolExecutor(2) as workers:
        for building in [workers.submit(source.prepare) for _ in range(2)]:
            building.result(timeout=60)
    assert [path.name for path in (tmp_path / "models").rglob("*")] == ["placeholder", "weights"]


@pytest.mark.parametrize("name", ["no.such.module:build", "json:nothing", "json", "json:__name__", ":"])
def test_builder_that_is_not_there(tmp_path: Path, name: str) -> None:
    """What names no function is refused before anything is built."""
    with pytest.raises(ModelUnavailable, match="does not name a function"):
        resolve(f"build:{name}", tmp_path)


def test_placeholder_is_the_same_every_time(tmp_path: Path) -> None:
    """Every build of the placeholder has the same weights, and leaves the process's random numbers alone."""
    import torch

    from services.inference.placeholder import build as build_placeholder

    weights: list[list[bytes]] = []
    for name in ("one", "two"):
        before = torch.get_rng_state()
        build_placeholder(tmp_path / name)
        assert torch.equal(before, torch.get_rng_state())
        weights.append([file.read_bytes() for file in sorted((tmp_path / name).rglob("*.safetensors"))])
        torch.rand(1)
    assert weights[0] == weights[1]
    assert len(weights[0]) == 3
