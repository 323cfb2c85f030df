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


@pytest.mark.parametrize("name", ["model.safetensors", "weights/sd.SAFETENSORS"])
@pytest.mark.parametrize("there", [True, False])
def test_checkpoint_in_one_file(tmp_path: Path, name: str, there: bool) -> None:
    """A checkpoint in one file is called that, with the command that makes a folder of it and the entry to change."""
    if there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelUnavailable, match=r"one file.*model_index\.json.*from_single_file.*`source` of") as caught:
        resolve(name, tmp_path)
    assert ("is not there" in str(caught.value)) is not there


@pytest.mark.parametrize("name", ["model.ckpt", "model.pt", "model.bin"])
def test_pickled_checkpoint(tmp_path: Path, name: str) -> None:
    """A pickled checkpoint is not to be converted here, as reading it may run code."""
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(ModelUnavailable, match=r"may run code.*safetensors") as caught:
        resolve(name, tmp_path)
    assert "from_single_file" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("https://huggingface.co/owner/name", "is an address; write hub:OWNER/NAME"),
        ("https://civitai.com/model.safetensors", "is an address"),
        ("owner/name", "or name hub:owner/name, with a revision"),
        ("notes.txt", "is one file"),
    ],
)
def test_source_of_another_kind(tmp_path: Path, source: str, said: str) -> None:
    """An address, a name on the hub without `hub:` and any other file are told how to be named."""
    (tmp_path / "notes.txt").touch()
    with pytest.raises(ModelUnavailable, match=said):
        resolve(source, tmp_path)
