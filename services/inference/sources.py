"""Where a model's weights come from: the `source` of its catalogue entry, made into what `from_pretrained` takes."""

import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog

from services.common.catalogue import Model
from services.common.errors import ModelUnavailable

log = structlog.get_logger(__name__)

_COMMIT = re.compile(r"[0-9a-f]{40}")
_REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")


@dataclass(frozen=True)
class Source:
    """`location` is a folder, or OWNER/NAME on the hub when there is a `revision` (a commit hash)."""

    location: str
    revision: str | None = None
    builder: str | None = None

    def prepare(self) -> None:
        """Build the folder of a `build:` source that is not there yet; nothing to do for the others.

        May take many seconds; ModelExecutor calls it in the model thread, before `load`. Workers that build at
        the same time do not disturb each other. Raises ModelUnavailable when it cannot be built.
        """
        folder = Path(self.location)
        if self.builder is None or folder.is_dir():
            return
        build = _builder(self.builder)
        log.info("building model", builder=self.builder, folder=self.location)
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as temporary:
                fresh = Path(temporary) / folder.name
                fresh.mkdir()
                build(fresh)
                _move(fresh, folder)
        except Exception as exc:  # whatever the builder raises: it is code from the catalogue
            raise ModelUnavailable(f"{self.builder} could not build {self.location}: {exc}") from exc


def resolve_source(model: Model, *, catalogue_folder: Path, data_dir: Path) -> Source:
    """Check what can be checked at once; folders of the catalogue are relative to the file it was read from.

    Raises ModelUnavailable saying what to do.
    """
    kind, _, name = model.source.partition(":")
    if kind == "hub":
        return _on_hub(model, name)
    if kind == "build":
        _builder(name)
        return Source(str((data_dir / "models" / model.name).absolute()), builder=name)
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


def _builder(name: str) -> Callable[[Path], None]:
    module, _, function = name.partition(":")
    try:
        build = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError, ValueError) as exc:
        raise ModelUnavailable(f"source 'build:{name}' does not name a function: {exc}") from exc
    if not callable(build):
        raise ModelUnavailable(f"source 'build:{name}' does not name a function")
    return build  # type: ignore[no-any-return]  # what it takes shows when it is called


def _move(fresh: Path, folder: Path) -> None:
    """Renaming a folder is atomic, and refused when another worker was faster: theirs is as good as ours."""
    try:
        fresh.replace(folder)
    except OSError:
        if not folder.is_dir():
            raise
