"""Copies a PNG file with other texts. Its pixels are neither decoded nor encoded again."""

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

Chunk = tuple[bytes, memoryview]  # the kind, and all of the chunk

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
XMP: Final = "XML:com.adobe.xmp"  # the name of the text that holds XMP (XMP specification, part 3, section 1.1.5)
_HEADER, _END, _TEXT = b"IHDR", b"IEND", b"iTXt"
# The chunks without which the image would be none, or would look different (PNG, third edition, chapter 11).
_KEPT: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM cICP gAMA iCCP mDCV cLLI sBIT sRGB bKGD pHYs acTL fcTL fdAT".split()
)


def with_xmp(data: bytes, xmp: bytes) -> bytes:
    """Return the file with this packet, and none that it had. Raises ValueError for what is no whole PNG."""
    old = XMP.encode() + b"\0"
    return _copied((chunk for chunk in _chunks(data) if chunk[0] != _TEXT or chunk[1][8 : 8 + len(old)] != old), xmp)


def bare(data: bytes, xmp: bytes) -> bytes:
    """Return the file with this packet, and nothing else that it says of itself. Raises ValueError as `with_xmp`."""
    return _copied((chunk for chunk in _chunks(data) if chunk[0] in _KEPT), xmp)


def _copied(chunks: Iterable[Chunk], xmp: bytes) -> bytes:
    """Put the packet behind the header, where readers that stop at the pixels find it."""
    # iTXt: keyword, no compression (two bytes), no language, no translated keyword, text (section 11.3.3.4)
    text = _TEXT + XMP.encode() + b"\0\0\0\0\0" + xmp
    mark = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    parts: list[bytes | memoryview] = [SIGNATURE]
    for kind, chunk in chunks:
        parts += [chunk, mark] if kind == _HEADER else [chunk]
    return b"".join(parts)


def _chunks(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks up to the end of the image, which are not copied: an image may be large."""
    if not data.startswith(SIGNATURE):
        raise ValueError("no PNG")
    view, at, kind = memoryview(data), len(SIGNATURE), b""
    while kind != _END:
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise ValueError("the PNG is cut short")
        yield kind, view[at:end]
        at = end
