"""The walks of the embedded object store. One odd entry ends none of them: others put things into folders, too."""

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog

from services.common.objects.keys import is_object_key

log = structlog.get_logger(__name__)


def keys_below(root: Path, prefix: str) -> Iterator[str]:
    """Yield the keys with this prefix. What is not ours (other names, links, pipes) is passed over.

    A folder that cannot be read is logged and left out, unless it is the one that was asked for.
    """
    folder = prefix.rpartition("/")[0]
    if folder and not is_object_key(folder):
        raise ValueError(f"{prefix!r} is no prefix of object keys")
    left = [folder]
    while left:
        within = left.pop()
        try:
            with os.scandir(root / within) as entries:
                found = [(f"{within}/{entry.name}" if within else entry.name, entry) for entry in entries]
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as exc:
            if within == folder:
                raise
            log.warning("folder left out", folder=within, reason=str(exc))
            continue
        ours = [(key, entry) for key, entry in found if is_object_key(key)]
        left += [key for key, entry in ours if entry.is_dir(follow_symlinks=False)]
        yield from (key for key, entry in ours if key.startswith(prefix) and entry.is_file(follow_symlinks=False))


def delete_files(root: Path, paths: Sequence[Path]) -> None:
    """Delete the files and the folders they leave empty. Raise the first fault once all were tried."""
    attempts = _Attempts()
    for path in paths:
        attempts.make(Path.unlink, path, IsADirectoryError)
        _remove_empty(root, path.parent)
    attempts.end()


def delete_folder(root: Path, folder: Path) -> None:
    """Delete the folder and all that is below it; links, and not where they lead. Raise as `delete_files`."""
    attempts = _Attempts()
    if folder.is_dir() and not folder.is_symlink():
        _empty(folder, attempts)
    else:  # whatever lies in its place
        attempts.make(Path.unlink, folder)
    _remove_empty(root, folder)
    attempts.end()


class _Attempts:
    """Tries everything, and raises the first fault at the end. What is gone already is no fault."""

    def __init__(self) -> None:
        self._fault: OSError | None = None

    def make(self, call: Callable[[Path], None], path: Path, *harmless: type[OSError]) -> None:
        try:
            call(path)
        except harmless:
            pass
        except OSError as exc:
            self.note(exc)

    def note(self, exc: OSError) -> None:
        if not isinstance(exc, FileNotFoundError | NotADirectoryError):
            self._fault = self._fault or exc

    def end(self) -> None:
        if self._fault is not None:
            raise self._fault


def _empty(folder: Path, attempts: _Attempts) -> None:
    for parent, folders, files in os.walk(folder, topdown=False, onerror=attempts.note):
        for name in files:
            attempts.make(Path.unlink, Path(parent, name))
        for name in folders:
            path = Path(parent, name)
            attempts.make(Path.unlink if path.is_symlink() else Path.rmdir, path)


def _remove_empty(root: Path, folder: Path) -> None:
    """Remove the folder and those it is in, as far as they are empty."""
    while folder != root:
        try:
            folder.rmdir()
        except (FileNotFoundError, NotADirectoryError):
            pass
        except OSError:  # others' objects are in it
            break
        folder = folder.parent
