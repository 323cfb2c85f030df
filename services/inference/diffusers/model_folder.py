"""Reads a model's folder before a library does: the variant of its weights, and the first file that is wrong.

Libraries name neither the file nor the cure for most of these faults, and some load the model all the same.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from services.inference.diffusers.model_files import AGAIN, file_fault, json_fault, table, unreadable, weights_fault

INDEX: Final = "model_index.json"
_SAFE: Final = ".safetensors"
_PICKLED: Final = {".bin", ".ckpt", ".pt", ".pth"}
_VOCABULARIES: Final = {".model", ".txt"}  # of tokenizers, beside JSON
# diffusion_pytorch_model.safetensors, model.fp16.safetensors, model.fp16-00001-of-00002.safetensors and the older
# model-00001-of-00002.fp16.safetensors
_SHARD: Final = r"(?:-\d{5}-of-\d{5})?"
_WEIGHTS: Final = re.compile(rf"(?:diffusion_pytorch_)?model(?:\.(\w+))?{_SHARD}(?:\.(\w+))?\.safetensors")


def variant_of(folder: Path) -> str | None:
    """Return the variant, such as fp16, without which a component has no weights; None if all have plain ones."""
    missing = set[str]()
    for component in _components(folder):
        variants = {_variant(file.name) for file in component.glob(f"*{_SAFE}")} - {None}
        if variants and "" not in variants:
            missing |= {variant for variant in variants if variant}
    return "fp16" if "fp16" in missing else min(missing, default=None)


def first_fault(folder: Path) -> str | None:
    """Return a sentence about the first file that is missing or damaged: the file, the cause and the cure."""
    return next(_faults(folder), None)


def index_fault(folder: Path) -> str | None:
    """Return a sentence about a `model_index.json` that is missing, damaged or lists nothing."""
    index = folder / INDEX
    try:
        index.lstat()
    except FileNotFoundError:
        alone = next((file for file in folder.glob(f"*{_SAFE}") if not file.name.startswith(".")), None)
        cure = (
            f"convert {alone.name} by diffusers' `from_single_file` and `save_pretrained`"
            if alone
            else "name the folder in which that file lies as the `source` of the model"
        )
        return f"{folder} is no diffusers pipeline: it has no {INDEX}; {cure}"
    except OSError as exc:
        return unreadable(folder, exc)
    if fault := json_fault(index):
        return fault
    if isinstance(table(index).get("_class_name"), str) and _listed(folder):
        return None
    return f"{index} is no table with `_class_name` and the components of a pipeline; {AGAIN}"


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
    try:
        files = [file for file in sorted(component.iterdir()) if not file.name.startswith(".")]
    except OSError as exc:
        yield unreadable(component, exc)
        return
    names = {file.name for file in files}
    for file in files:
        if fault := _fault_of(file):
            yield fault
    if not names:
        yield f"{component} is empty; download the model again, with the files of this folder"
    elif "tokenizer" in component.name:
        yield from _vocabulary_faults(component, names)
    elif "scheduler" not in component.name:
        yield from _weights_faults(component, names)


def _fault_of(file: Path) -> str | None:
    if file.suffix == _SAFE:
        return weights_fault(file)
    if file.suffix in _VOCABULARIES:
        return file_fault(file, lambda: None)
    if file.suffix != ".json":
        return None
    return json_fault(file) or (_missing_shard(file) if f"{_SAFE}.index." in file.name else None)


def _missing_shard(index: Path) -> str | None:
    files = table(index).get("weight_map")
    shards = sorted({str(shard) for shard in files.values()}) if isinstance(files, dict) else []
    missing = (index.parent / shard for shard in shards if not (index.parent / shard).exists())
    if shard := next(missing, None):
        return f"{shard} is missing, and {index} names it; {AGAIN}"
    return None if shards else f"{index} has no table `weight_map` of the files of weights; {AGAIN}"


def _vocabulary_faults(component: Path, names: set[str]) -> Iterator[str]:
    pair = {"vocab.json", "merges.txt"}
    if "tokenizer.json" not in names and len(pair & names) == 1:
        yield f"{component} has no {min(pair - names)}, which belongs to its {min(pair & names)}; download both again"


def _weights_faults(component: Path, names: set[str]) -> Iterator[str]:
    weights = sorted(name for name in names if name.endswith(_SAFE))
    pickled = sorted(name for name in names if Path(name).suffix in _PICKLED)
    if not weights and pickled:
        yield (
            f"{component} lacks safetensors weights, and pickled ones can run code, so they are refused: "
            f"it has {', '.join(pickled)} only; download the model's safetensors files"
        )
    elif not weights and "config.json" in names:
        yield f"{component} has no weights: no file ends in {_SAFE}; download the model again, with its weights"
    elif weights and "config.json" not in names:
        yield f"{component} has no config.json beside its weights; download the model again, with that file"
    elif weights and not any(_WEIGHTS.fullmatch(name) for name in weights):
        yield (
            f"{component} has no weights under a name that diffusers looks for, as in diffusion_pytorch_model{_SAFE} "
            f"or model{_SAFE}, but {', '.join(weights)}; download the model in the layout of diffusers"
        )


def _components(folder: Path) -> list[Path]:
    return [folder / name for name in _listed(folder) if (folder / name).is_dir()]


def _listed(folder: Path) -> Sequence[str]:
    """Return the names of the components in `model_index.json`, each with a library and a class that are not null."""
    index = table(folder / INDEX)
    return [name for name, value in index.items() if not name.startswith("_") and _is_component(value)]


def _is_component(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(isinstance(part, str) for part in value)


def _variant(name: str) -> str | None:
    """Return the variant in the name of a file of weights, "" without one, and None for another file."""
    match = _WEIGHTS.fullmatch(name)
    return None if match is None else match[1] or match[2] or ""
