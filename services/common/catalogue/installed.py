"""Tells whether a model's weights lie on this machine, so that a worker can load it without a download.

The cache of the hub is read as a folder: the gateway is installed without huggingface_hub.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from services.common.catalogue.caches import hub_cache
from services.common.catalogue.catalogue import Model

_WEIGHTS: Final = {".safetensors", ".bin", ".onnx", ".gguf"}


def is_installed(model: Model, catalogue_folder: Path) -> bool:
    """Return True if the weights of `model` are here. Folders are relative to the file of the catalogue.

    A folder that exists counts as installed, even if loading finds a fault in it: the worker then names the fault. A
    model of the hub counts once each of its parts has weights; a download that was cut short leaves one without. Files
    of a package count once they are all in their place, which they take after they were checked.
    """
    try:
        place = weights_place(model, catalogue_folder)
        if package := model.package:
            return all(file.is_file() for file in package.files)
        return _is_whole(place) if model.source.startswith("hub:") else place.is_dir()
    except (OSError, RuntimeError, ValueError):  # a folder that cannot be read, and a home or a name that is none
        return False


def installed_bytes(model: Model, catalogue_folder: Path) -> int:
    """Return the size of what is here of `model`, in bytes; 0 if there is nothing, or if it cannot be read."""
    try:
        place = weights_place(model, catalogue_folder)
        files = [place] if place.is_file() else place.rglob("*")
        return sum(file.stat().st_size for file in files if file.is_file())
    except (OSError, RuntimeError, ValueError):
        return 0


def weights_place(model: Model, catalogue_folder: Path) -> Path:
    """Return the folder or file of the weights, which may not be there. Raise RuntimeError for a home that is none."""
    if package := model.package:
        return package.location
    kind, _, name = model.source.partition(":")
    if kind == "hub":
        return hub_cache() / f"models--{name.replace('/', '--')}" / "snapshots" / str(model.revision)
    return catalogue_folder / Path(model.source).expanduser()


def _is_whole(snapshot: Path) -> bool:
    """Return True if each part of a downloaded model is there. One that is no diffusers pipeline is a single part."""
    index = snapshot / "model_index.json"
    parts = list(_listed(_table(index))) if index.exists() else [""]
    return bool(parts) and all(_part_is_whole(snapshot / part) for part in parts)


def _listed(index: dict[str, Any]) -> Iterator[str]:
    """Yield the parts of a pipeline, each named with a library and a class; an optional one may have neither."""
    for name, value in index.items():
        if not name.startswith("_") and isinstance(value, list) and all(isinstance(each, str) for each in value):
            yield name


def _part_is_whole(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    files = {file.name for file in folder.iterdir() if file.exists()}  # a link to a file that was deleted does not
    shards = {
        str(shard)
        for name in files
        if name.endswith(".safetensors.index.json")
        for shard in _table(folder / name).get("weight_map", {}).values()
    }
    weights = {name for name in files if Path(name).suffix in _WEIGHTS}
    return bool(files) and shards <= files and bool(weights or "config.json" not in files)


def _table(file: Path) -> dict[str, Any]:
    parsed = json.loads(file.read_bytes())
    return parsed if isinstance(parsed, dict) else {}
