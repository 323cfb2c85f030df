"""Says what is wrong with one file of a model, before a library reads it."""

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

AGAIN: Final = "download it again"
_LFS: Final = b"version https://git-lfs.github.com/spec/"
_PAGES: Final = (b"<!doctype", b"<html", b"<head", b"<?xml")  # an error or a sign-in, saved under the file's name
_LARGEST_HEADER: Final = 100_000_000  # of safetensors, in bytes


def json_fault(file: Path) -> str | None:
    """Return a sentence about a file that should hold a table as JSON, or None if it does."""
    told = f"{file} is cut, or no JSON of a table in UTF-8 without a byte order mark; {AGAIN}"
    return file_fault(file, lambda: None if isinstance(_parsed(file), dict) else told)


def weights_fault(file: Path) -> str | None:
    """Return a sentence about a file that should hold weights in the format safetensors, or None if it does."""

    def damaged() -> str | None:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = opened.read(min(length, _LARGEST_HEADER))
        if size > 8 and (length > _LARGEST_HEADER or header[:1] != b"{"):
            return f"{file} is not in the format safetensors; {AGAIN}"
        try:
            tensors = [entry for name, entry in json.loads(header).items() if name != "__metadata__"]
            whole = 8 + length + max((int(entry["data_offsets"][1]) for entry in tensors), default=0)
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            kind = "is cut" if size < 8 + length else "is not in the format safetensors"
            return f"{file} {kind}; {AGAIN}"
        return None if size == whole else f"{file} is cut or damaged: it has {size} of {whole} bytes; {AGAIN}"

    return file_fault(file, damaged)


def file_fault(file: Path, damaged: Callable[[], str | None]) -> str | None:
    """Return a sentence about a file that cannot be read, is empty or stands for another, else what `damaged` says."""
    try:
        if not stat.S_ISREG(file.stat().st_mode):
            return f"{file} is no file; {AGAIN}"
        with file.open("rb") as opened:
            begin = opened.read(len(_LFS))
        return _in_place_of(file, begin) or damaged()
    except FileNotFoundError:
        return f"{file} is a link to {file.readlink()}, which does not exist; copy the files that are linked to as well"
    except OSError as exc:
        return unreadable(file, exc)


def _in_place_of(file: Path, begin: bytes) -> str | None:
    """Return a sentence about a file whose first bytes show that it is not what its name says."""
    if not begin:
        return f"{file} is empty; {AGAIN}"
    if begin == _LFS:
        cure = "install git-lfs and run `git lfs pull` in the folder that was cloned"
        return f"{file} is a Git LFS pointer in place of the file: {cure}"
    if begin.lstrip().lower().startswith(_PAGES):
        return f"{file} is a web page in place of the file; {AGAIN}, signed in if the site asks for it"
    return None


def unreadable(place: Path, exc: OSError) -> str:
    """Return the sentence about a file or folder that the operating system does not let this process read."""
    return f"{place} cannot be read: {exc.strerror or exc}; let this user read it, and all that lies in it"


def table(file: Path) -> dict[str, Any]:
    """Return the table that a JSON file holds; an empty one if it holds none, or cannot be read."""
    try:
        parsed = _parsed(file)
    except OSError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _parsed(file: Path) -> Any:
    """Return what a JSON file holds, or None if it is none as the libraries read it."""
    try:
        return json.loads(file.read_bytes().decode("utf-8"))
    except (ValueError, RecursionError):
        return None
