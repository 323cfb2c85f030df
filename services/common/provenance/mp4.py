"""XMP in MP4 files, of sound and of video."""

from typing import Final

# The box of XMP (XMP specification, part 3, section 1.2.7.1).
_XMP_BOX: Final = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")


def with_xmp(data: bytes, xmp: bytes) -> bytes:
    """Return the file with XMP as its last box (ISO 14496-12, section 4.2). Raise ValueError for another file."""
    if data[4:8] != b"ftyp":
        raise ValueError("no MP4")
    content = b"uuid" + _XMP_BOX + xmp
    return data + (len(content) + 4).to_bytes(4, "big") + content
