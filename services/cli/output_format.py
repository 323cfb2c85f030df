"""The format and the name of the files that `studio generate` and `fetch` write: by the option, else by the suffix."""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, Protocol

from services.api.core.formats.file_format import FORMATS
from services.cli.photo_files import PhotoFiles
from services.common.modalities.modality import Media
from services.common.modalities.registry import modalities


class OutputFormat(StrEnum):
    """The format of the file that is written."""

    PNG = "png"
    JPEG = "jpeg"
    WEBP = "webp"
    WAV = "wav"
    MP3 = "mp3"
    OPUS = "opus"
    FLAC = "flac"
    AAC = "aac"
    TXT = "txt"
    JSON = "json"
    SRT = "srt"
    VTT = "vtt"

    @property
    def media(self) -> Media:
        return FORMATS[self].media


_SUFFIXES: Final = {
    **{f".{FORMATS[form].extension}": form for form in OutputFormat},
    ".jpeg": OutputFormat.JPEG,
    ".ogg": OutputFormat.OPUS,
    ".aac": OutputFormat.AAC,
    ".mp4": OutputFormat.AAC,
}
# Of other kinds of files. A suffix of none, such as .bin or .part, says nothing about the format.
_OTHERS: Final = frozenset(
    {
        *(".apng", ".avif", ".bmp", ".gif", ".heic", ".heif", ".ico", ".jp2", ".jxl", ".pdf", ".psd", ".svg"),
        *(".tif", ".tiff", ".aif", ".aiff", ".amr", ".wma", ".doc", ".docx", ".htm", ".html", ".md", ".rtf"),
    }
)
_NOUNS: Final[Mapping[str, str]] = {Media.IMAGE: "a photo", Media.AUDIO: "a sound", Media.TEXT: "a text"}
_USUAL: Final = {
    Media.IMAGE: ("photo", OutputFormat.PNG),
    Media.AUDIO: ("speech", OutputFormat.WAV),
    Media.TEXT: ("transcript", OutputFormat.TXT),
}


class Destination(Protocol):
    """Returns the files that are written, and their format, by what a job makes. Raises ValueError."""

    def __call__(self, *, media: Media | None) -> tuple[PhotoFiles, OutputFormat | None]: ...


def destination(
    output: str | None, wanted: OutputFormat | None, *, force: bool, media: Media | None = None
) -> tuple[PhotoFiles, OutputFormat | None]:
    """Return the files and their format: `wanted`, or what the suffix says; None keeps the stored format.

    `media` is what is made; None where that is not known yet. Raises ValueError for a name that is none of a file, or
    whose suffix is that of another format.
    """
    if output is None:
        output = _usual_name(wanted, media or Media.IMAGE)
    files = PhotoFiles.of(output, force=force)
    form = wanted if files.path is None else _format(files.path, wanted, media)
    if form is not None and media is not None and form.media is not media:
        raise ValueError(f"{_NOUNS.get(media, 'what is made')} has no format {form}; choose {_either(media)}")
    return files, form


def media_of(job: Mapping[str, Any]) -> Media:
    """Return what a job makes, as the gateway represents it; images for one of a modality that is not known here."""
    known = modalities().get(str(job.get("modality")))
    return known.makes if known else Media.IMAGE


def _usual_name(wanted: OutputFormat | None, media: Media) -> str:
    if media not in _USUAL:
        return str(media)
    name, usual = _USUAL[media]
    return f"{name}.{FORMATS[wanted or usual].extension}"


def _format(path: Path, wanted: OutputFormat | None, media: Media | None) -> OutputFormat | None:
    suffix = path.suffix.lower()
    named = _SUFFIXES.get(suffix)
    if wanted is None and suffix and (named is None or (media is not None and named.media is not media)):
        noun = _NOUNS.get(media or "", "what is made")
        raise ValueError(
            f"{path.name}: {noun} has no format {suffix}; name it {_endings(media)}, or choose one with --output-format"
        )
    if wanted is not None and ((named is not None and named is not wanted) or suffix in _OTHERS):
        endings = " or ".join(each for each, form in _SUFFIXES.items() if form is wanted)
        raise ValueError(f"{path.name} ends in {suffix}, but --output-format is {wanted}: name it {endings}")
    return wanted or named


def _endings(media: Media | None) -> str:
    return ", ".join(each for each, form in _SUFFIXES.items() if media is None or form.media is media)


def _either(media: Media) -> str:
    return ", ".join(form for form in OutputFormat if form.media is media)
