"""Where weights come from: folders, and the hub at a pinned revision."""

from pathlib import Path

import pytest

from services.common.errors import ModelUnavailable
from services.inference.runtime.sources import Source, resolve_source
from tests.support.models.items import tiny_model

COMMIT = "451f4fe16113bff5a5d2269ed5ad43b0592e9a14"


def resolve(source: str, folder: Path, revision: str | None = None) -> Source:
    return resolve_source(tiny_model(source, revision), catalogue_folder=folder)


def test_folder_relative_to_the_catalogue(tmp_path: Path) -> None:
    """A relative folder lies beside the catalogue, in whatever folder the worker was started."""
    (tmp_path / "tiny").mkdir()
    assert resolve("tiny", tmp_path) == Source(str(tmp_path / "tiny"))


def test_missing_folder(tmp_path: Path) -> None:
    """A missing folder is named, with what to do."""
    with pytest.raises(ModelUnavailable, match=f"no folder {tmp_path / 'tiny'}; put the model there"):
        resolve("tiny", tmp_path)


def test_hub_model_with_its_revision(tmp_path: Path) -> None:
    """A hub model's source is its name and its pinned commit."""
    assert resolve("hub:owner/name", tmp_path, COMMIT) == Source("owner/name", COMMIT)


@pytest.mark.parametrize("revision", ["main", COMMIT[:12], COMMIT + "\n"])
def test_unpinned_hub_model(tmp_path: Path, revision: str) -> None:
    """A branch, a tag or a short hash is refused, and the error says where to find a full one."""
    with pytest.raises(ModelUnavailable, match=r"huggingface\.co/owner/name/commits"):
        resolve("hub:owner/name", tmp_path, revision)


def test_hub_name_without_owner(tmp_path: Path) -> None:
    """A hub source is OWNER/NAME."""
    with pytest.raises(ModelUnavailable, match="OWNER/NAME"):
        resolve("hub:name", tmp_path, COMMIT)
