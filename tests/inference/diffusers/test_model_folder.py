"""What the files of a model's folder say, before a library reads them."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.inference.diffusers.model_folder import first_fault, index_fault, variant_of

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 492265880\n"
INDEX = {
    "_class_name": "StableDiffusionPipeline",
    "_ignore_files": ["old.ckpt", "older.ckpt"],
    "requires_safety_checker": False,
    "safety_checker": [None, None],
    "scheduler": ["diffusers", "DDIMScheduler"],
    "text_encoder": ["transformers", "CLIPTextModel"],
    "tokenizer": ["transformers", "CLIPTokenizer"],
    "unet": ["diffusers", "UNet2DConditionModel"],
    "vae": ["diffusers", "AutoencoderKL"],
}
UNET = "unet/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"


def weights(header: Any = None, data: bytes = b"\0" * 16) -> bytes:
    """Return a file in the format safetensors, of one tensor unless another header is given."""
    one = {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}
    text = json.dumps({"__metadata__": {"format": "pt"}, "bias": one} if header is None else header).encode()
    return len(text).to_bytes(8, "little") + text + data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a pipeline in which nothing is wrong."""
    files = {
        "model_index.json": json.dumps(INDEX).encode(),
        "scheduler/scheduler_config.json": b"{}",
        "text_encoder/config.json": b"{}",
        TEXT: weights(),
        "tokenizer/tokenizer.json": b"{}",
        "tokenizer/vocab.json": b"{}",
        "tokenizer/merges.txt": b"#version: 0.2\n",
        "unet/config.json": b"{}",
        UNET: weights(),
        "vae/config.json": b"{}",
        "vae/diffusion_pytorch_model.safetensors": weights(),
    }
    for name, content in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    return tmp_path


def test_nothing_is_wrong(folder: Path) -> None:
    """A whole folder has no fault, also with entries of file servers, notes and weights that are not read beside it."""
    for name in (".DS_Store", "._diffusion_pytorch_model.safetensors", "README.md", "model.onnx", "flax_model.msgpack"):
        (folder / "unet" / name).write_bytes(b"anything")
    (folder / "unet" / ".cache").mkdir()
    assert (first_fault(folder), variant_of(folder)) == (None, None)


@pytest.mark.parametrize(
    "name",
    [
        *(UNET, "vae/diffusion_pytorch_model.safetensors", TEXT),
        *("model_index.json", "unet/config.json", "scheduler/scheduler_config.json"),
        *("tokenizer/tokenizer.json", "tokenizer/vocab.json", "tokenizer/merges.txt", "tokenizer/spiece.model"),
    ],
)
@pytest.mark.parametrize(
    ("content", "told"),
    [
        (LFS, "is a Git LFS pointer in place of the file: install git-lfs and run `git lfs pull`"),
        (b"", "is empty; download it again"),
        (b"<!DOCTYPE html><html><title>Sign in</title>", "is a web page in place of the file; download it again"),
        (b"\n<?xml version='1.0'?><Error><Code>AccessDenied</Code>", "is a web page in place of the file"),
    ],
    ids=["pointer", "empty", "page", "error of a store"],
)
def test_something_else_in_place_of_a_file(folder: Path, name: str, content: bytes, told: str) -> None:
    """A Git LFS pointer, nothing or a page in place of a file is told with the file, whichever component it is of."""
    (folder / name).write_bytes(content)
    assert (first_fault(folder) or "").startswith(f"{folder / name} {told}")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (weights()[:3], "is cut"),
        (weights()[:8], "is cut"),
        (weights()[:40], "is cut"),
        (weights()[:-1], "is cut or damaged: it has"),
        (weights() + b"\0", "is cut or damaged: it has"),
        (weights(data=b""), "is cut or damaged: it has"),
        (b"PK\x03\x04" + b"\0" * 4 + b"\x80\x02}" * 9, "is not in the format safetensors"),
        (b"GGUF\x03\0\0\0" * 9, "is not in the format safetensors"),
        (weights([1, 2]), "is not in the format safetensors"),
        (weights({"bias": {"data_offsets": ["0", "many"]}}), "is not in the format safetensors"),
        (weights({"bias": "none"}), "is not in the format safetensors"),
    ],
)
def test_damaged_weights(folder: Path, content: bytes, told: str) -> None:
    """Weights that are cut, longer than they say or of another format are told with the file and the cure."""
    (folder / UNET).write_bytes(content)
    fault = first_fault(folder) or ""
    assert fault.startswith(f"{folder / UNET} {told}")
    assert fault.endswith("; download it again")


@pytest.mark.parametrize(
    "content",
    [
        *(b"[]", b'"StableDiffusionPipeline"', b"null", b"5", b"{}", b'{"_class_name": "X"}', b'{"unet": ["a", "B"]}'),
        *(b'{"_class_name": "X", "unet": [null, null]}', b'{"_class_name": 5, "unet": ["a", "B"]}'),
        *(b'{"_class_name": "X", "unet": "UNet"}', b'{"_class_name": "X", "unet": ["diffusers"]}'),
        *(json.dumps(INDEX).encode()[:-9], b"\x89PNG\r\n\x1a\n\0\0", json.dumps(INDEX).encode("utf-16")),
        *(b"\xef\xbb\xbf" + json.dumps(INDEX).encode(), b"[" * 100_000, b'{"a": %s}' % (b"9" * 5000)),
    ],
    ids=range(17),
)
def test_index_without_a_pipeline(folder: Path, content: bytes) -> None:
    """A `model_index.json` that is no table of components, in whatever way, is told with the file and the cure."""
    (folder / "model_index.json").write_bytes(content)
    assert index_fault(folder) == first_fault(folder)
    assert (index_fault(folder) or "").startswith(f"{folder / 'model_index.json'} is ")
    assert (index_fault(folder) or "").endswith("; download it again")


def test_folder_without_an_index(folder: Path) -> None:
    """A folder without an index is told to be no pipeline, and a checkpoint in it how to be converted."""
    (folder / "model_index.json").unlink()
    assert "name the folder in which that file lies" in (index_fault(folder) or "")
    (folder / "photo.safetensors").write_bytes(weights())
    assert "convert photo.safetensors by" in (index_fault(folder) or "")


def _without(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _instead(name: str, other: str, content: bytes) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).with_name(other).write_bytes(content)

    return damage


def _as_folder(name: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).mkdir()

    return damage


def _as_link(name: str, to: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        (folder / name).unlink()
        (folder / name).symlink_to(to)

    return damage


def _as_pipe(folder: Path) -> None:
    (folder / UNET).unlink()
    os.mkfifo(folder / UNET)


def _empty(name: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        shutil.rmtree(folder / name)
        (folder / name).mkdir()

    return damage


def _sharded(folder: Path, index: str = "diffusion_pytorch_model.safetensors.index.json") -> None:
    (folder / UNET).unlink()
    shards = [f"diffusion_pytorch_model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    (folder / "unet" / shards[0]).write_bytes(weights())
    (folder / "unet" / index).write_text(json.dumps({"weight_map": dict(zip("ab", shards, strict=True))}))


def _map_of(content: object) -> Callable[[Path], object]:
    index = f"{UNET}.index.json"
    return lambda folder: (folder / index).write_text(json.dumps({"weight_map": content}))


FAULTS = {
    "no weights": (_without(UNET), "unet", "has no weights: no file ends in .safetensors"),
    "pickled": (_instead(UNET, "diffusion_pytorch_model.bin", b"x"), "unet", "it has diffusion_pytorch_model.bin only"),
    "checkpoint": (_instead(TEXT, "model.ckpt", b"x"), "text_encoder", "pickled ones can run code"),
    "other name": (
        _instead(UNET, "unet-v2.safetensors", weights()),
        "unet",
        "looks for, as in diffusion_pytorch_model",
    ),
    "no config": (_without("unet/config.json"), "unet", "has no config.json beside its weights"),
    "no folder": (lambda folder: shutil.rmtree(folder / "vae"), "", "has no folder vae, which its model_index.json"),
    "empty folder": (_empty("vae"), "vae", "is empty; download the model again"),
    "empty scheduler": (_empty("scheduler"), "scheduler", "is empty; download the model again"),
    "folder for weights": (_as_folder(UNET), UNET, "is no file"),
    "folder for config": (_as_folder("vae/config.json"), "vae/config.json", "is no file"),
    "folder for index": (_as_folder("model_index.json"), "model_index.json", "is no file"),
    "pipe": (_as_pipe, UNET, "is no file"),
    "link to nothing": (
        _as_link(UNET, "../../blobs/4d7a"),
        UNET,
        "is a link to ../../blobs/4d7a, which does not exist",
    ),
    "link to itself": (_as_link(TEXT, "model.safetensors"), TEXT, "cannot be read: Too many levels"),
    "index to nothing": (_as_link("model_index.json", "../x"), "model_index.json", "is a link to ../x"),
    "missing shard": (_sharded, "unet/diffusion_pytorch_model-00002-of-00002.safetensors", "is missing, and "),
    "missing shard, old name": (
        lambda folder: _sharded(folder, "diffusion_pytorch_model.safetensors.index.fp16.json"),
        "unet/diffusion_pytorch_model-00002-of-00002.safetensors",
        "is missing, and ",
    ),
    "shards that are a list": (_map_of(["a"]), f"{UNET}.index.json", "has no table `weight_map`"),
    "no shards": (_map_of({}), f"{UNET}.index.json", "has no table `weight_map`"),
    "config of a list": (
        lambda folder: (folder / "vae/config.json").write_text("[]"),
        "vae/config.json",
        "is cut, or no",
    ),
    "half a vocabulary": (
        lambda folder: [(folder / "tokenizer" / name).unlink() for name in ("tokenizer.json", "merges.txt")],
        "tokenizer",
        "has no merges.txt, which belongs to its vocab.json",
    ),
}


@pytest.mark.parametrize(("damage", "place", "told"), FAULTS.values(), ids=FAULTS)
def test_fault_of_a_folder(folder: Path, damage: Callable[[Path], object], place: str, told: str) -> None:
    """What is missing, or of another kind, is told with its place, the cause and what to do."""
    damage(folder)
    fault = first_fault(folder) or ""
    assert fault.startswith(f"{folder / place} ")
    assert told in fault
    assert ";" in fault


@pytest.mark.parametrize(
    ("method", "place"),
    [("open", UNET), ("open", "model_index.json"), ("iterdir", "unet"), ("lstat", "model_index.json")],
)
def test_no_permission(folder: Path, monkeypatch: pytest.MonkeyPatch, method: str, place: str) -> None:
    """A file or folder that this user may not read is told, and is not taken for a missing one."""
    whole = getattr(Path, method)

    def refuse(path: Path, *arguments: object, **options: object) -> object:
        if path == folder / place:
            raise PermissionError(13, "Permission denied", str(path))
        return whole(path, *arguments, **options)

    monkeypatch.setattr(Path, method, refuse)
    assert "cannot be read: Permission denied; let this user read it" in (first_fault(folder) or "")


@pytest.mark.parametrize(
    ("names", "variant"),
    [
        (["diffusion_pytorch_model.fp16.safetensors"], "fp16"),
        (["diffusion_pytorch_model.safetensors", "diffusion_pytorch_model.fp16.safetensors"], None),
        (["diffusion_pytorch_model.bf16.safetensors"], "bf16"),
        (["diffusion_pytorch_model.bf16.safetensors", "diffusion_pytorch_model.fp16.safetensors"], "fp16"),
        (["diffusion_pytorch_model.non_ema.safetensors"], "non_ema"),
        (["diffusion_pytorch_model.fp16-00001-of-00002.safetensors"], "fp16"),
        (["diffusion_pytorch_model-00001-of-00002.fp16.safetensors"], "fp16"),
        (["diffusion_pytorch_model-00001-of-00002.safetensors"], None),
        (["._diffusion_pytorch_model.fp16.safetensors", "diffusion_pytorch_model.safetensors"], None),
        (["model.fp16.safetensors"], "fp16"),
        ([], None),
    ],
)
def test_variant(folder: Path, names: list[str], variant: str | None) -> None:
    """The variant is the one without which a component has no weights, however its files are named and divided."""
    (folder / UNET).unlink()
    for name in names:
        (folder / "unet" / name).write_bytes(weights())
    assert variant_of(folder) == variant
