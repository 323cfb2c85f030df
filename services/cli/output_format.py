"""In which format `studio generate` writes pictures, and to which file."""

from enum import StrEnum
from pathlib import Path
from typing import Final


class OutputFormat(StrEnum):
    """Of the file that is written."""

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
    """The file and its format: the one asked for, else what the suffix says; None for as it is stored."""
    if output is None:
        return Path(f"photo.{'jpg' if wanted is OutputFormat.JPEG else wanted or 'png'}"), wanted
    return output, wanted or _SUFFIXES.get(output.suffix.lower())
