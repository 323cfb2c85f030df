"""The options of `studio generate` that describe its images: their size, their format and their file."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Final

import typer


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


def destination(output: Path | None, wanted: OutputFormat | None) -> tuple[Path, OutputFormat | None]:
    """Return the file and its format: `wanted`, or what the suffix says; None keeps the stored format."""
    if output is None:
        return Path(f"photo.{'jpg' if wanted is OutputFormat.JPEG else wanted or 'png'}"), wanted
    return output, wanted or _SUFFIXES.get(output.suffix.lower())


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
