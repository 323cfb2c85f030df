"""Folders that a model cannot be loaded from, and such as it can: through the adapter, on a real pipeline."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.common.catalogue.catalogue import Model
from services.common.errors import ModelUnavailable
from services.inference.adapters.txt2img import Txt2Img
from services.inference.batching.timings import CallTimings
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.sources import Source
from services.inference.worker.warm_up import warm_up
from tests.support.models.items import draw, item

UNET = "unet/diffusion_pytorch_model.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"
TEXT = "text_encoder/model.safetensors"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 492265880\n"


@pytest.fixture
def folder(tiny: Model, tmp_path: Path) -> Path:
    """Return a folder of the tiny pipeline for one test to damage."""
    return shutil.copytree(tiny.source, tmp_path / "model")


def loaded(tiny: Model, source: Source) -> Txt2Img:
    adapter = Txt2Img(tiny, source)
    adapter.load("cpu")
    return adapter


def refusal(tiny: Model, folder: Path) -> str:
    """Return the sentence with which a folder is refused."""
    with pytest.raises(ModelUnavailable) as caught:
        loaded(tiny, Source(str(folder)))
    return str(caught.value)


def _cut(name: str, share: float) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return damage


def _write(name: str, content: bytes) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_bytes(content)


def _change(name: str, **values: Any) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        table = json.loads((folder / name).read_text())
        (folder / name).write_text(json.dumps({**table, **values}))

    return damage


def _drop(name: str, key: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        table = json.loads((folder / name).read_text())
        del table[key]
        (folder / name).write_text(json.dumps(table))

    return damage


def _keep_shards(folder: Path) -> None:
    """Divide the UNet's weights into two files, and lose the second one."""
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / UNET)
    (folder / UNET).unlink()
    names = [f"diffusion_pytorch_model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    files = {name: names[number % 2] for number, name in enumerate(sorted(tensors))}
    save_file({name: tensors[name] for name in tensors if files[name] == names[0]}, folder / "unet" / names[0])
    index = {"metadata": {}, "weight_map": files}
    (folder / "unet" / "diffusion_pytorch_model.safetensors.index.json").write_text(json.dumps(index))


def _lose_tensor(name: str, tensor: str) -> Callable[[Path], object]:
    def damage(folder: Path) -> None:
        from safetensors.torch import load_file, save_file

        tensors = load_file(folder / name)
        del tensors[tensor]
        save_file(tensors, folder / name, metadata={"format": "pt"})

    return damage


# Each is refused with a sentence that begins with the place and has the words.
DAMAGES: dict[str, tuple[Callable[[Path], object], str, list[str]]] = {
    "pointer": (_write(TEXT, LFS), TEXT, ["Git LFS pointer", "git lfs pull"]),
    "pointer of the decoder": (_write(VAE, LFS), VAE, ["Git LFS pointer"]),
    "cut denoiser": (_cut(UNET, 0.5), UNET, ["is cut or damaged", "download it again"]),
    "cut text encoder": (_cut(TEXT, 0.9), TEXT, ["is cut or damaged"]),
    "empty decoder": (_write(VAE, b""), VAE, ["is empty"]),
    "cut config": (_cut("vae/config.json", 0.5), "vae/config.json", ["is cut"]),
    "cut tokenizer": (_cut("tokenizer/tokenizer.json", 0.5), "tokenizer/tokenizer.json", ["is cut"]),
    "index of a list": (_write("model_index.json", b"[]"), "model_index.json", ["is cut, or no JSON"]),
    "index without a scheduler": (_drop("model_index.json", "scheduler"), "model_index.json", ["lists no scheduler,"]),
    "null in the index": (_change("model_index.json", vae=[None, None]), "model_index.json", ["lists no vae, which"]),
    "two nulls": (
        _change("model_index.json", vae=[None, None], tokenizer=[None, None]),
        "model_index.json",
        ["lists no tokenizer and no vae, which a StableDiffusionPipeline needs"],
    ),
    "missing shard": (_keep_shards, "unet/diffusion_pytorch_model-00002-of-00002.safetensors", ["is missing, and"]),
    "missing config": (
        lambda folder: (folder / "text_encoder/config.json").unlink(),
        "text_encoder",
        ["no config.json"],
    ),
    "missing scheduler": (
        lambda folder: (folder / "scheduler/scheduler_config.json").unlink(),
        "scheduler",
        ["is empty"],
    ),
    "weights lost": (_lose_tensor(UNET, "conv_out.bias"), "", ["lacks a part of the weights of UNet2DConditionModel"]),
    "text weights lost": (
        _lose_tensor(TEXT, "final_layer_norm.weight"),
        "",
        ["lacks a part of the weights of CLIPTextModel"],
    ),
    "another size of the text encoder": (
        _change("text_encoder/config.json", hidden_size=32),
        "text_encoder",
        ["other shapes than its config.json says"],
    ),
    "another size": (_change("unet/config.json", cross_attention_dim=32), "unet", ["cannot be loaded", "shape"]),
    "an empty config": (_write("vae/config.json", b"{}"), "vae", ["cannot be loaded", "shape"]),
    "another class": (_change("model_index.json", vae=["diffusers", "UNet2DConditionModel"]), "", ["lacks a part of"]),
    "unknown class": (_change("model_index.json", unet=["diffusers", "UNet9"]), "unet", ["cannot be loaded", "UNet9"]),
    "unknown pipeline": (_change("model_index.json", _class_name="MyPipeline"), "model_index.json", ["MyPipeline"]),
    "null for a component": (_change("model_index.json", vae=None), "model_index.json", ["cannot be loaded"]),
    "half of a component": (_change("model_index.json", vae=["diffusers"]), "model_index.json", ["cannot be loaded"]),
    "unknown library": (
        _change("model_index.json", unet=["absent", "UNet"]),
        "unet",
        ["absent is not one of the libr"],
    ),
    "absent library": (
        _change("model_index.json", scheduler=["diffusers", "CosineDPMSolverMultistepScheduler"]),
        "",
        ["install torchsde"],
    ),
    "empty tokenizer.json": (_write("tokenizer/tokenizer.json", b"{}"), "tokenizer", ["cannot be loaded"]),
    "no tokenizer_config.json": (
        lambda folder: (folder / "tokenizer/tokenizer_config.json").unlink(),
        "tokenizer/tokenizer_config.json",
        ["is missing, so no prompt would be cut to the 128 tokens that text_encoder reads"],
    ),
    "unknown numbers": (
        _change("scheduler/scheduler_config.json", beta_schedule="odd"),
        "scheduler",
        ["cannot be loaded", "odd is not implemented"],
    ),
}


@pytest.mark.parametrize(("damage", "place", "told"), DAMAGES.values(), ids=DAMAGES)
def test_damaged_folder(
    tiny: Model, folder: Path, damage: Callable[[Path], object], place: str, told: list[str]
) -> None:
    """Whatever a library raises, or loads all the same, is refused in one sentence: the place, the cause, the cure."""
    damage(folder)
    said = refusal(tiny, folder)
    assert said.startswith(str(folder / place).rstrip("/"))
    assert [part for part in told if part not in said] == []
    assert "\n" not in said
    assert ";" in said or "git lfs pull" in said


def test_tokenizer_without_its_library(tiny: Model, folder: Path) -> None:
    """A vocabulary of SentencePiece needs that library, which is named, and not the one that is tried after it."""
    shutil.rmtree(folder / "tokenizer")
    (folder / "tokenizer").mkdir()
    (folder / "tokenizer" / "spiece.model").write_bytes(b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02")
    _change("model_index.json", tokenizer=["transformers", "T5Tokenizer"])(folder)
    said = refusal(tiny, folder)
    assert said.startswith(f"{folder} cannot be loaded: SentencePieceExtractor needs the library SentencePiece, which")
    assert "install sentencepiece with pip where the worker runs" in said
    assert "tiktoken" not in said


@pytest.mark.parametrize("left", [["tokenizer_config.json"], []], ids=["its config alone", "nothing"])
@pytest.mark.parametrize("kind", ["CLIPTokenizer", "T5Tokenizer"])
def test_tokenizer_without_vocabulary(tiny: Model, folder: Path, left: list[str], kind: str) -> None:
    """A tokenizer that gives different prompts the same ids is refused: every photo would be the same."""
    for file in (folder / "tokenizer").iterdir():
        if file.name not in left:
            file.unlink()
    _change("model_index.json", tokenizer=["transformers", kind])(folder)
    said = refusal(tiny, folder)
    assert said.startswith(f"{folder / 'tokenizer'} ")
    assert "has no vocabulary: 'red mug' and 'tan cup' become the same ids" in said or "is empty" in said


def test_tokenizer_with_an_empty_vocabulary(tiny: Model, folder: Path) -> None:
    """A tokenizer.json whose vocabulary holds the special tokens alone is refused like a missing one."""
    file = folder / "tokenizer" / "tokenizer.json"
    table = json.loads(file.read_text())
    marks = {"<|startoftext|>": 512, "<|endoftext|>": 513}
    file.write_text(json.dumps({**table, "model": {**table["model"], "vocab": marks, "merges": []}}))
    assert "has no vocabulary" in refusal(tiny, folder)


def test_tokenizer_of_another_model(tiny: Model, folder: Path) -> None:
    """A tokenizer that gives ids beyond the text encoder's embeddings is refused, before a photo fails for them."""
    file = folder / "tokenizer" / "tokenizer.json"
    table = json.loads(file.read_text())
    vocabulary = {token: number + 1000 for token, number in table["model"]["vocab"].items()}
    marks = [{**mark, "id": mark["id"] + 1000} for mark in table["added_tokens"]]
    file.write_text(json.dumps({**table, "added_tokens": marks, "model": {**table["model"], "vocab": vocabulary}}))
    assert "belongs to another model: it gives the id 15" in refusal(tiny, folder)


def _as_two_files(folder: Path, merges: int) -> None:
    """Write the vocabulary as vocab.json and merges.txt, as older models have it, with 200 merges of which some are."""
    tokenizer = folder / "tokenizer"
    table = json.loads((tokenizer / "tokenizer.json").read_text())["model"]["vocab"]
    (tokenizer / "tokenizer.json").unlink()
    letters = "ABCDEFGHIJKLMNO"  # no prompt has these: it is in small letters before it is divided
    pairs = [(one, other) for one in letters for other in letters][:200]
    made = {f"{one}{other}": 600 + number for number, (one, other) in enumerate(pairs)}
    (tokenizer / "vocab.json").write_text(json.dumps({**table, **made}))
    lines = ["#version: 0.2", *(f"{one} {other}" for one, other in pairs[:merges])]
    (tokenizer / "merges.txt").write_text("\n".join(lines) + "\n")


def test_vocabulary_in_two_files(tiny: Model, folder: Path) -> None:
    """A vocabulary as vocab.json and merges.txt is loaded."""
    _as_two_files(folder, merges=200)
    loaded(tiny, Source(str(folder))).close()


def test_merges_that_were_cut(tiny: Model, folder: Path) -> None:
    """A vocabulary whose merges are cut would spell every word, and draw something else: it is refused."""
    _as_two_files(folder, merges=20)
    assert refusal(tiny, folder).startswith(f"{folder / 'tokenizer' / 'merges.txt'} is cut: it has 20 of at least ")


@pytest.mark.parametrize("components", [["unet"], ["unet", "vae", "text_encoder"]], ids=["one", "all"])
def test_half_precision_alone(tiny: Model, folder: Path, components: list[str]) -> None:
    """A folder that has weights in half precision alone, in any of its components, is loaded and draws."""
    for name in components:
        (file,) = (folder / name).glob("*.safetensors")
        file.rename(file.with_suffix(".fp16.safetensors"))
    adapter = loaded(tiny, Source(str(folder)))
    (image,) = draw(adapter, item(1, steps=1))
    adapter.close()
    assert image.size == (64, 64)


def test_damaged_half_precision(tiny: Model, folder: Path) -> None:
    """Of a folder with weights in half precision alone, the damaged file is told, not that plain ones are missing."""
    for name in ("unet", "vae", "text_encoder"):
        (file,) = (folder / name).glob("*.safetensors")
        file.rename(file.with_suffix(".fp16.safetensors"))
    _cut("unet/diffusion_pytorch_model.fp16.safetensors", 0.5)(folder)
    assert refusal(tiny, folder).startswith(str(folder / "unet/diffusion_pytorch_model.fp16.safetensors is cut"))


PROXIES = {
    "unknown": ("HTTPS_PROXY", "socks9://127.0.0.1:1080", "names a proxy with the scheme 'socks9'"),
    "lower case": ("all_proxy", "ftp://proxy:21", "names a proxy with the scheme 'ftp'"),
    "no library": ("HTTP_PROXY", "socks5://127.0.0.1:1080", "names a SOCKS proxy, and the library for these"),
    "a port that is none": ("HTTPS_PROXY", "http://proxy:port", "is no URL of a proxy"),
    "no host": ("HTTPS_PROXY", "http://", "names no host of a proxy"),
    "a password": ("HTTPS_PROXY", "socks9://user:hidden@proxy:1", "names a proxy with the scheme 'socks9'"),
}


@pytest.mark.parametrize(("variable", "value", "told"), PROXIES.values(), ids=PROXIES)
def test_proxy_that_cannot_be_used(
    tiny: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, told: str
) -> None:
    """A model on the hub that no proxy leads to is refused with the variable that names the proxy, and no password."""
    import huggingface_hub.constants as hub
    from huggingface_hub import close_session

    monkeypatch.setattr(hub, "HF_HUB_CACHE", str(tmp_path))
    for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, value)
    close_session()  # the client is made anew, with this environment
    with pytest.raises(ModelUnavailable) as caught:
        loaded(tiny, Source("owner/name", revision="0" * 40))
    close_session()
    assert str(caught.value).startswith(f"owner/name cannot be fetched from the hub: {variable} {told}")
    assert "hidden" not in str(caught.value)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("file", "tensor"),
    [(VAE, "decoder.conv_out.bias"), (UNET, "conv_out.bias"), (TEXT, "final_layer_norm.weight")],
    ids=["decoder", "denoiser", "text encoder"],
)
async def test_weights_that_are_no_numbers(tiny: Model, folder: Path, file: str, tensor: str) -> None:
    """A model with weights that are no numbers is not ready: libraries draw a black picture with it."""
    import torch
    from safetensors.torch import load_file, save_file

    tensors = load_file(folder / file)
    tensors[tensor] = torch.full_like(tensors[tensor], torch.nan)
    save_file(tensors, folder / file, metadata={"format": "pt"})
    quick = tiny.model_copy(update={"defaults": {"width": 64, "height": 64, "steps": 2}})
    async with ModelExecutor(Txt2Img(quick, Source(str(folder))), device="cpu") as executor:
        await executor.load()
        with pytest.raises(ModelUnavailable, match=r"tiny cannot make its own sample: .* no picture: its numbers over"):
            await warm_up(executor, CallTimings(), 60)
