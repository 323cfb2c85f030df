"""Tells the type of a file by its first bytes. Names and declared types are never believed."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.api.core.inputs.decoding.order import Refusal

HEAD_BYTES: Final = 4096
PICTURES: Final = "JPEG, PNG, WebP, GIF, TIFF, AVIF or HEIC"
SOUNDS: Final = "WAV, MP3, M4A, Ogg, FLAC or WebM"
_LOSSLESS: Final = b"VP8L"  # the part of a WebP with pixels that lost nothing
_BRANDS: Final = 16  # of an ISO file that are looked at


@dataclass(frozen=True)
class Kind:
    """`opener` is the name that Pillow or FFmpeg has for it; `extension` is that of a sound, which is kept."""

    name: str
    opener: str
    extension: str = ""
    lossy: bool = False

    @property
    def is_sound(self) -> bool:
        return self.extension != ""


_JPEG: Final = Kind("JPEG", "JPEG", lossy=True)
_WEBP: Final = Kind("WebP", "WEBP", lossy=True)
_TIFF: Final = Kind("TIFF", "TIFF")
_AVIF: Final = Kind("AVIF", "AVIF", lossy=True)
_HEIC: Final = Kind("HEIC", "HEIF", lossy=True)
_MP3: Final = Kind("MP3", "mp3", "mp3")
_M4A: Final = Kind("M4A", "mov", "m4a")

_BEGINNINGS: Final[Mapping[bytes, Kind]] = {
    b"\xff\xd8\xff": _JPEG,
    b"\x89PNG\r\n\x1a\n": Kind("PNG", "PNG"),
    b"GIF87a": Kind("GIF", "GIF"),
    b"GIF89a": Kind("GIF", "GIF"),
    b"II*\0": _TIFF,
    b"MM\0*": _TIFF,
    b"ID3": _MP3,
    b"\xff\xfb": _MP3,
    b"\xff\xf3": _MP3,
    b"\xff\xf2": _MP3,
    b"OggS": Kind("Ogg", "ogg", "ogg"),
    b"fLaC": Kind("FLAC", "flac", "flac"),
    b"\x1a\x45\xdf\xa3": Kind("WebM", "matroska", "webm"),
}
_IN_RIFF: Final[Mapping[bytes, Kind]] = {b"WEBP": _WEBP, b"WAVE": Kind("WAV", "wav", "wav")}
_REFUSED: Final[Mapping[bytes, str]] = {
    b"%PDF": "a PDF",
    b"8BPS": "a document of Photoshop",
    b"PK\x03\x04": "a ZIP archive",
    b"BM": "a Windows bitmap",
    b"#EXTM3U": "a playlist",
}


def kind_of(head: bytes) -> Kind:
    """Return the kind of the file that begins with these HEAD_BYTES. Raises Refusal with the kinds that are taken."""
    found = next((kind for start, kind in _BEGINNINGS.items() if head.startswith(start)), None)
    if head.startswith(b"RIFF"):
        found = _IN_RIFF.get(head[8:12])
        if found is _WEBP and _LOSSLESS in head:
            found = replace(found, lossy=False)
    if head[4:8] == b"ftyp":
        found = _iso_kind(head)
    if found is not None:
        return found
    what = next((words for start, words in _REFUSED.items() if head.startswith(start)), None) or _marked_up(head)
    got = f"this is {what}" if what else "the first bytes are those of no known picture or sound"
    raise Refusal("unsupported", f"{got}: send a picture as {PICTURES}, or a sound as {SOUNDS}")


def _iso_kind(head: bytes) -> Kind:
    """Return the kind of an ISO base media file (ISO 14496-12) by its brands."""
    length = min(int.from_bytes(head[:4]), 16 + 4 * _BRANDS)
    brands = {head[8:12], *(head[at : at + 4] for at in range(16, length, 4))}
    if brands & {b"avif", b"avis"}:
        return _AVIF
    if brands & {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}:
        return _HEIC
    return _M4A


def _marked_up(head: bytes) -> str | None:
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if not text.startswith(b"<"):
        return None
    return "an SVG, which is a program as much as a picture" if b"<svg" in text else "a text with markup"
