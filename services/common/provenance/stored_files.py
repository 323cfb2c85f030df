"""Marks the files that workers store, in the formats in which outputs are kept."""

from collections.abc import Callable, Mapping
from typing import Final

from services.common.provenance import mp4, png, wave
from services.common.provenance.mark import Mark

_WRITERS: Final[Mapping[str, Callable[[bytes, bytes], bytes]]] = {
    "image/png": png.with_xmp,
    "audio/wav": wave.with_xmp,
    "video/mp4": mp4.with_xmp,
}


def marked(data: bytes, media_type: str, mark: Mark) -> bytes:
    """Return the file with the mark. One of another format, such as text, has no place for it and is returned as it is.

    Raises ValueError for a file that is not what its media type says.
    """
    writer = _WRITERS.get(media_type)
    return writer(data, mark.xmp()) if writer else data
