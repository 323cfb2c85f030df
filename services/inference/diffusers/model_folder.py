"""Reads what the files of a model's folder say before a library reads them: the variant, and the first damaged one.

Libraries name neither the file nor the cure for most of these faults, and some load the model all the same.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

INDEX: Final = "model_index.json"
_AGAIN: Final = "download it again"
_LFS: Final = b"version https://git-lfs.github.com/spec/"
_LARGEST_HEADER: Final = 100_000_000  # of safetensors, in bytes
_PICKLED: Final = {".bin", ".ckpt", ".pt", ".pth"}
# diffusion_pytorch_model.safetensors, model.fp16.safetensors, model.fp16-00001-of-00002.safetensors and the older
# model-00001-of-00002.fp16.safetensors
_SHARD: Final = r"(?:-\d{5}-of-\d{5})?"
_WEIGHTS: Final = re.compile(rf"(?:diffusion_pytorch_)?model(?:\.(\w+))?{_SHARD}(?:\.(\w+))?\.safetensors")


def variant_of(folder: Path) -> str | None:
    """Return the variant, such as fp16, without which a component has no weights; None if all have plain ones."""
    missing = set[str]()
    for component in _components(folder):
        variants = {_variant(file.name) for file in _files(component, ".safetensors")} - {None}
        if variants and "" not in variants:
            missing |= {variant for variant in variants if variant}
    return "fp16" if "fp16" in missing else min(missing, default=None)


def first_fault(folder: Path) -> str | None:
    """Return a sentence about the first file that is missing or damaged: the file, the cause and the cure."""
    return next(_faults(folder), None)


def index_fault(folder: Path) -> str | None:
    """Return a sentence about a `model_index.json` that is missing, damaged or lists nothing."""
    index = folder / INDEX
    if not index.exists() and not index.is_symlink():
        alone = next(iter(_files(folder, ".safetensors")), None)
        cure = (
            f"convert {alone.name} by diffusers' `from_single_file` and `save_pretrained`"
            if alone
            else "name the folder in which that file lies as the `source` of the model"
        )
        return f"{folder} is no diffusers pipeline: it has no {INDEX}; {cure}"
    if fault := _of_json(index):
        return fault
    if _table(index).get("_class_name") and _listed(folder):
        return None
    return f"{index} is no table with `_class_name` and the components of a pipeline; {_AGAIN}"


def _faults(folder: Path) -> Iterator[str]:
    if fault := index_fault(folder):
        yield fault
        return
    for name in _listed(folder):
        if not (folder / name).is_dir():
            yield f"{folder} has no folder {name}, which its {INDEX} lists; download the model again, with all folders"
    for component in _components(folder):
        yield from _component_faults(component)


def _component_faults(component: Path) -> Iterator[str]:
    for file in _files(component, ".json"):
        if fault := _of_json(file):
            yield fault
        elif file.name.endswith(".safetensors.index.json"):
            shards = sorted({str(shard) for shard in (_table(file).get("weight_map") or {}).values()})
            yield from (f"{component / shard} is missing, and {file} names it; {_AGAIN}"
                        for shard in shards if not (component / shard).exists())  # fmt: skip
    weights = _files(component, ".safetensors")
    for file in weights:
        if fault := _of_weights(file):
            yield fault
    if not weights and "tokenizer" not in component.name and (component / "config.json").exists():
        pickled = [file.name for file in _files(component) if file.suffix in _PICKLED]
        yield (
            f"{component} lacks safetensors weights, and pickled ones can run code, so they are refused: "
            f"it has {', '.join(pickled)} only; download the model's safetensors files"
            if pickled
            else f"{component} has no weights: no file ends in .safetensors; download the model again, with its weights"
        )


def _of_json(file: Path) -> str | None:
    return _of_file(
        file, lambda: None if isinstance(_parsed(file), dict) else f"{file} is cut, or no JSON of a table; {_AGAIN}"
    )


def _of_weights(file: Path) -> str | None:
    def damaged() -> str | None:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if length > _LARGEST_HEADER:
                return f"{file} is not in the format safetensors; {_AGAIN}"
            header = opened.read(length)
        try:
            ends = [entry["data_offsets"][1] for name, entry in json.loads(header).items() if name != "__metadata__"]
        except (ValueError, LookupError, TypeError, AttributeError):
            kind = "is cut" if size < 8 + length else "is not in the format safetensors"
            return f"{file} {kind}; {_AGAIN}"
        whole = 8 + length + max(ends, default=0)
        return None if size == whole else f"{file} is cut or damaged: it has {size} of {whole} bytes; {_AGAIN}"

    return _of_file(file, damaged)


def _of_file(file: Path, damaged: Callable[[], str | None]) -> str | None:
    """Return a sentence about a file that cannot be read, is empty or stands for another, else what `damaged` says."""
    try:
        with file.open("rb") as opened:
            begin = opened.read(len(_LFS))
        if not begin:
            return f"{file} is empty; {_AGAIN}"
        if begin == _LFS:
            return (
                f"{file} is a Git LFS pointer in place of the file: "
                f"install git-lfs and run `git lfs pull` in the folder that was cloned"
            )
        if begin.lstrip()[:1] == b"<":
            return f"{file} is a web page in place of the file; {_AGAIN}, signed in if the site asks for it"
        return damaged()
    except FileNotFoundError:
        return f"{file} is a link to {file.readlink()}, which does not exist; copy the files that are linked to as well"
    except OSError as exc:
        return f"{file} cannot be read: {exc.strerror or exc}; make it a file that this user may read"


def _components(folder: Path) -> list[Path]:
    return [folder / name for name in _listed(folder) if (folder / name).is_dir()]


def _files(folder: Path, ending: str = "") -> list[Path]:
    """Return the files whose names end so. Hidden ones are passed over: macOS puts a `._NAME` beside each NAME."""
    return sorted(file for file in folder.glob(f"*{ending}") if not file.name.startswith("."))


def _listed(folder: Path) -> list[str]:
    """Return the names of the components in `model_index.json`, without those that are null."""
    index = _table(folder / INDEX)
    return [name for name, value in index.items() if isinstance(value, list) and value and value[0] is not None]


def _table(file: Path) -> dict[str, Any]:
    try:
        parsed = _parsed(file)
    except OSError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _parsed(file: Path) -> Any:
    """Return what a JSON file holds, or None if it is none."""
    try:
        return json.loads(file.read_bytes())
    except ValueError:
        return None


def _variant(name: str) -> str | None:
    """Return the variant in the name of a file of weights, "" without one, and None for another file."""
    match = _WEIGHTS.fullmatch(name)
    return None if match is None else match[1] or match[2] or ""
