"""The options of `studio generate` that describe its images: their size, their format and their files."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

import typer

from services.cli.photo_files import PhotoFiles


class OutputFormat(StrEnum):
    """The format of the file that is written."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"


_SUFFIXES: Final = {
    ".png": OutputFormat.PNG,
    ".jpg": OutputFormat.JPEG,
    ".jpeg": OutputFormat.JPEG,
    ".webp": OutputFormat.WEBP,
}
# Of other kinds of images. A suffix of none, such as .bin or .part, says nothing about the format.
_OTHERS: Final = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".gif", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".pdf", ".psd", ".svg"),
        *(".tif", ".tiff"),
    }
)
_ALLOWED: Final = ", ".join(_SUFFIXES)


def destination(
    output: str | None, wanted: OutputFormat | None, *, force: bool
) -> tuple[PhotoFiles, OutputFormat | None]:
    """Return the files and their format: `wanted`, or what the suffix says; None keeps the stored format.

    Raises ValueError for a name that is none of a file, or whose suffix is that of another format.
    """
    if output is None:
        output = f"photo.{'jpg' if wanted is OutputFormat.JPEG else wanted or 'png'}"
    files = PhotoFiles.of(output, force=force)
    return files, wanted if files.path is None else _format(files.path, wanted)


def _format(path: Path, wanted: OutputFormat | None) -> OutputFormat | None:
    suffix = path.suffix.lower()
    named = _SUFFIXES.get(suffix)
    if wanted is None and named is None and suffix:
        raise ValueError(
            f"{path.name}: a photo has no format {suffix}; name it {_ALLOWED}, or choose one with --output-format"
        )
    if wanted is not None and ((named is not None and named is not wanted) or suffix in _OTHERS):
        endings = " or ".join(each for each, form in _SUFFIXES.items() if form is wanted)
        raise ValueError(f"{path.name} ends in {suffix}, but --output-format is {wanted}: name it {endings}")
    return wanted or named


def sides_of(size: str | None) -> dict[str, int]:
    """Return `width` and `height` in pixels of a size as people type it, nothing for None.

    Raises typer.BadParameter.
    """
    if size is None:
        return {}
    found = re.fullmatch(r"([0-9]+)x([0-9]+)", size.lower())
    if found is None:
        raise typer.BadParameter(f"WIDTHxHEIGHT in pixels, for example 256x256, not {size!r}", param_hint="--size")
    return {"width": int(found[1]), "height": int(found[2])}
