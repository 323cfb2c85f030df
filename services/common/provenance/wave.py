"""Copies a WAV file with other texts, and reads those that we write. Its samples are not encoded again.

WAV is chunks in a RIFF file (Multimedia Programming Interface and Data Specifications 1.0, IBM and Microsoft, 1991);
XMP is in the chunk `_PMX` (XMP specification, part 3, section 2.2).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

Chunk = tuple[bytes, bytes | memoryview]  # the name and the content

_RIFF, _KIND = b"RIFF", b"WAVE"
_XMP, _LIST, _INFO, _COMMENT = b"_PMX", b"LIST", b"INFO", b"ICMT"
_KEPT: Final = frozenset((b"fmt ", b"fact", b"data"))  # all that is needed to play it


def with_xmp(data: bytes, xmp: bytes) -> bytes:
    """Return the file with this packet, and none that it had. Raises ValueError for what is no whole WAV."""
    return _copied((chunk for chunk in _chunks(data) if chunk[0] != _XMP), xmp)


def bare(data: bytes, xmp: bytes) -> bytes:
    """Return the file with this packet, and nothing else that it says of itself. Raises ValueError as `with_xmp`."""
    return _copied((chunk for chunk in _chunks(data) if chunk[0] in _KEPT), xmp)


def facts_in(data: bytes) -> Mapping[str, str]:
    """Return how the sound was made: the JSON of the comment that a worker writes; nothing for another comment."""
    for name, content in _chunks(data):
        if name == _LIST and content[: len(_INFO)] == _INFO:
            texts = dict(_entries(memoryview(content)[len(_INFO) :]))
            try:
                found = json.loads(bytes(texts.get(_COMMENT, b"{}")).rstrip(b"\0"))
            except ValueError:
                found = None
            return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}
    return {}


def _copied(chunks: Iterable[Chunk], xmp: bytes) -> bytes:
    parts: list[bytes | memoryview] = []
    for name, content in (*chunks, (_XMP, xmp)):
        # Padded to an even length, which the length that is stated leaves out.
        parts += [name, _size(len(content)), content, b"\0" * (len(content) % 2)]
    return b"".join([_RIFF, _size(len(_KIND) + sum(map(len, parts))), _KIND, *parts])


def _size(length: int) -> bytes:
    return length.to_bytes(4, "little")


def _chunks(data: bytes) -> Iterator[Chunk]:
    """Yield the chunks, whose content is not copied: a sound may be long."""
    if data[:4] != _RIFF or data[8:12] != _KIND:
        raise ValueError("no WAV")
    if 8 + int.from_bytes(data[4:8], "little") > len(data):
        raise ValueError("the WAV is cut short")
    yield from _entries(memoryview(data)[12:])


def _entries(data: memoryview) -> Iterator[Chunk]:
    at = 0
    while at + 8 <= len(data):
        start, size = at + 8, int.from_bytes(data[at + 4 : at + 8], "little")
        if start + size > len(data):
            raise ValueError("a chunk is cut short")
        yield bytes(data[at : at + 4]), data[start : start + size]
        at = start + size + size % 2
