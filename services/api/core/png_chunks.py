"""Copies a PNG file without what it says of itself. Its pixels are neither decoded nor encoded again."""

from typing import Final

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_END: Final = b"IEND"
# The chunks without which the image would be none, or would look different (PNG, third edition, chapter 11).
_KEPT: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM cICP gAMA iCCP mDCV cLLI sBIT sRGB bKGD pHYs acTL fcTL fdAT".split()
)


def without_metadata(data: bytes) -> bytes:
    """Return the file with those chunks only. Raises ValueError for what is no whole PNG."""
    if not data.startswith(SIGNATURE):
        raise ValueError("no PNG")
    kept, at = [SIGNATURE], len(SIGNATURE)
    while True:
        kind, end = data[at + 4 : at + 8], at + 12 + int.from_bytes(data[at : at + 4], "big")
        if end > len(data):
            raise ValueError("the PNG is cut short")
        if kind in _KEPT:
            kept.append(data[at:end])
        if kind == _END:
            return b"".join(kept)
        at = end
