"""The files that photos are written to: checked before a job is submitted, and never over another file."""

import errno
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, Self

from services.cli.tables import plain
from services.cli.terminal import give_up

STANDARD_OUTPUTS: Final = ("-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")
SHOWN: Final = 40  # letters at each end of a name that is too long to be shown
_REASONS: Final = {
    errno.EEXIST: "it is a link that leads in a circle",
    errno.ENAMETOOLONG: "its name is too long",
    errno.ENXIO: "nothing reads from it",
}


class NotWritten(Exception):
    """A photo is made and could not be written; exit code 1."""


@dataclass(frozen=True)
class PhotoFiles:
    """Where photos go: `path`, with a number behind its name where there are several; None is standard output.

    With `force` an existing file is written over, else the next number without a file is taken.
    """

    path: Path | None
    force: bool = False

    @classmethod
    def of(cls, output: str, *, force: bool) -> Self:
        """Return the files that `-o` names. Raises ValueError for a folder, saying what to name instead."""
        if output in STANDARD_OUTPUTS:
            return cls(None)
        try:
            path = Path(output).expanduser()
        except RuntimeError:  # there is no such user
            path = Path(output)
        if output.endswith(os.sep) or _is_folder(path):
            raise ValueError(f"{output or '.'} is a folder: name a file in it, such as {path / 'photo.png'}")
        return cls(path, force)

    def check(self, count: int) -> None:
        """Return if `count` photos can be written. Raises ValueError saying what to do; leaves nothing behind."""
        if self.path is None:
            _check_standard_output(count)
            return
        folder = self.path.parent
        if os.path.lexists(folder) and not _is_folder(folder):
            raise ValueError(f"{_short(self.path)} cannot be written: {_short(folder)} is no folder")
        try:
            if count > 1 and self.path.is_fifo():
                raise ValueError(f"{_short(self.path)} is a pipe and takes one photo, not {count}: name a file")
            for path in self._free(self.path, count):
                _try(path)
        except OSError as exc:
            advice = f"{_reason(exc)}: name another file"
            if isinstance(exc, FileNotFoundError) and not _is_folder(folder):
                advice = f"there is no folder {_short(folder)}: make it, or name another file"
            raise ValueError(f"{_short(self.path)} cannot be written: {advice}") from exc

    def write(self, photos: Mapping[int, bytes], count: int, tell: Callable[[str], object]) -> list[Path]:
        """Write each photo under its index of `count`; return the files, none for standard output.

        `tell` is called with a sentence if other names than those asked for are taken. Raises NotWritten.
        """
        if self.path is None:
            _to_standard_output(photos)
            return []
        written: list[Path] = []
        try:
            names = self._free(self.path, count)
            for index, data in photos.items():
                while not self._write(names[index], data):  # another program has made the file meanwhile
                    names = self._free(self.path, count)
                written.append(names[index])
        except OSError as exc:
            kept = f" ({_listed(written)} is written)" if written else ""
            raise NotWritten(f"{_short(self.path)} could not be written: {_reason(exc)}{kept}") from exc
        asked = list(_names(self.path, count, 0))
        other = [path for path in written if path not in asked]
        if other and not _is_device(self.path):
            tell(f"{_short(self.path)} is taken: written to {_listed(other)}; --force writes over it")
        return written

    def _free(self, path: Path, count: int) -> list[Path]:
        """Return the files for `count` photos, of which none exists unless with `force`."""
        if _is_device(path):
            return [path] * count
        shift = 0
        while not self.force and any(os.path.lexists(name) for name in _names(path, count, shift)):
            shift += 1
        return list(_names(path, count, shift))

    def _write(self, path: Path, data: bytes) -> bool:
        """Return False if the file exists and may not be written over. A file written in part is removed."""
        kept = self.force or _is_device(path)
        try:
            with _opened(path, over=kept) as file:
                _write_all(file.write, data)
        except FileExistsError:
            return False
        except OSError:
            if not kept:
                with suppress(OSError):
                    path.unlink()
            raise
        return True


def _names(path: Path, count: int, shift: int) -> Iterator[Path]:
    if count == 1:
        yield path if not shift else path.with_stem(f"{path.stem}-{shift + 1}")
        return
    for number in range(shift + 1, shift + count + 1):
        yield path.with_stem(f"{path.stem}-{number}")


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:  # the name is too long
        return False


def _is_device(path: Path) -> bool:
    """Return True for a pipe or a device such as /dev/null, where nothing is written over."""
    return path.is_fifo() or path.is_char_device()


def _try(path: Path) -> None:
    """Raise OSError unless the file can be made, or written if it exists. Leaves things as they are."""
    if path.exists():
        if not path.is_file() and not _is_device(path):
            raise OSError(errno.EINVAL, "it is a folder" if path.is_dir() else "it is no file")
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return
    target = os.path.realpath(path)  # of a link that leads to nothing
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
    Path(target).unlink()


def _opened(path: Path, *, over: bool) -> IO[bytes]:
    """Open for writing, `over` what is there or else only where nothing is. Raises OSError for an unread pipe."""
    if not path.is_fifo():
        return path.open("wb" if over else "xb", buffering=0)
    number = os.open(path, os.O_WRONLY | os.O_NONBLOCK)  # which would wait for a reader, and not hear Ctrl-C
    os.set_blocking(number, True)
    return os.fdopen(number, "wb", buffering=0)


def _check_standard_output(count: int) -> None:
    if count > 1:
        raise ValueError(f"standard output takes one photo, and {count} are asked for: name a file with -o")
    if sys.__stdout__ is None:
        raise ValueError("standard output is closed: name a file with -o")
    if sys.stdout.isatty():
        raise ValueError("a terminal cannot show a photo: name a file, or send the output on, as in -o - > photo.png")


def _to_standard_output(photos: Mapping[int, bytes]) -> None:
    if len(photos) > 1:
        raise NotWritten(f"standard output takes one photo, and {len(photos)} were made")
    try:
        for data in photos.values():
            sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except OSError as exc:
        give_up(sys.stdout)
        raise NotWritten(f"standard output could not be written: {_reason(exc)}") from exc


def _write_all(write: Callable[[memoryview], int | None], data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[write(left) or 0 :]


def _reason(exc: OSError) -> str:
    """Return what is wrong, in our words where the system's say little of a file that is to be written."""
    return _REASONS.get(exc.errno or 0) or exc.strerror or str(exc)


def _listed(paths: Iterable[Path]) -> str:
    return ", ".join(_short(path) for path in paths)


def _short(path: Path) -> str:
    text = plain(str(path))
    return text if len(text) <= 2 * SHOWN else f"{text[:SHOWN]}…{text[-SHOWN:]}"
