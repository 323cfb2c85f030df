"""Fetches the weights of one model, as `studio models pull` does: its size and licence first, then progress."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from services.cli.exits import errors
from services.cli.tables import megabytes, plain
from services.common.catalogue.catalogue import Model
from services.common.catalogue.installed import installed_bytes, is_installed, weights_place
from services.common.errors import ModelUnavailable
from services.common.network.offline import is_offline
from services.inference.runtime.adapter import ModelAdapter
from services.inference.runtime.device_errors import first_line
from services.inference.runtime.fetching.hub import bytes_to_fetch
from services.inference.runtime.fetching.packages import fetch_package
from services.inference.runtime.fetching.pip_download import Tell
from services.inference.runtime.registry import resolve_adapter
from services.inference.runtime.sources import Source, resolve_source


def pull_model(model: Model, folder: Path) -> None:
    """Fetch what is not here of `model`, of the catalogue in `folder`. Raise ModelUnavailable saying what to do."""
    source = resolve_source(model, catalogue_folder=folder)
    adapter = _adapter(model, source) if source.revision else None
    licence = f"licence {model.licence}" if model.licence else "no licence in the catalogue"
    print(plain(f"{model.name}: {model.title}, {licence}, {_size(model, folder, adapter)}, {model.source}"), flush=True)
    if adapter is not None:
        adapter.fetch()
    else:
        with _progress() as tell:
            fetch_package(model, tell)
    here = megabytes(installed_bytes(model, folder))
    print(plain(f"{model.name} is installed, {here} in {weights_place(model, folder)}"))


def _adapter(model: Model, source: Source) -> ModelAdapter:
    """Return the adapter, which knows what it reads of a model on the hub."""
    adapter = resolve_adapter(model.adapter)
    try:
        return adapter(model, source)
    except Exception as exc:
        what = f"the adapter {model.adapter} cannot be made for it: {type(exc).__name__}: {first_line(exc)}"
        raise ModelUnavailable(f"{model.name}: {what}; check `options` of [models.{model.name}]") from exc


def _size(model: Model, folder: Path, adapter: ModelAdapter | None) -> str:
    if is_installed(model, folder):
        return f"{megabytes(installed_bytes(model, folder))} here"
    if model.megabytes:
        return f"a download of about {model.megabytes:,} MB"
    if adapter is None or is_offline():
        return "size not known"
    return f"a download of at most {megabytes(bytes_to_fetch(adapter.source, adapter.hub_files))}"


@contextmanager
def _progress() -> Iterator[Tell]:
    """Yield a function that shows the bytes which are here, and in all, as a bar on a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=errors, disable=not errors.is_terminal) as bar:
        task = bar.add_task("downloading", total=None, visible=False)
        yield lambda here, whole: bar.update(task, completed=here, total=whole, visible=True)
