"""The source of a model's weights: the `source` of its catalogue entry, as an argument of `from_pretrained`."""

import re
from dataclasses import dataclass
from pathlib import Path

from services.common.catalogue import Model
from services.common.errors import ModelUnavailable

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Source:
    """A place of weights. `location` is a folder, or OWNER/NAME on the hub where `revision` is a commit hash."""

    location: str
    revision: str | None = None


def resolve_source(model: Model, *, catalogue_folder: Path) -> Source:
    """Return the source of `model`. Folders are relative to the file of the catalogue.

    Raise ModelUnavailable for a missing folder or an unpinned revision, with a sentence that says what to do.
    """
    kind, _, name = model.source.partition(":")
    if kind == "hub":
        return _on_hub(model, name)
    folder = (catalogue_folder / Path(model.source).expanduser()).absolute()
    if not folder.is_dir():
        raise ModelUnavailable(
            f"{model.name}: there is no folder {folder}; put the model there, "
            f"or change `source` of [models.{model.name}] in {catalogue_folder / 'models.toml'}"
        )
    return Source(str(folder))


def _on_hub(model: Model, name: str) -> Source:
    if not _REPOSITORY.fullmatch(name):
        raise ModelUnavailable(f"{model.name}: source {model.source!r} is not hub:OWNER/NAME")
    if not _COMMIT.fullmatch(model.revision or ""):
        raise ModelUnavailable(
            f"{model.name}: revision {model.revision!r} is not a commit hash, so the weights could change under us; "
            f"copy one of 40 hex digits from https://huggingface.co/{name}/commits"
        )
    return Source(name, model.revision)
