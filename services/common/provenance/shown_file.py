"""Reads a file of unknown origin as it comes: its digest, its kind and its mark. Nothing is decoded or kept."""

import hashlib
from typing import Final

from services.common.provenance.mark import Mark

_SOUGHT: Final = b"://cv.iptc.org/newscodes/digitalsourcetype/"
_PACKET_BYTES: Final = 4096  # behind that, which hold the rest of the term and the origin
_HEAD_BYTES: Final = 12
_BEGINNINGS: Final = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"ID3", "audio/mpeg"),
    (b"\xff\xfb", "audio/mpeg"),
    (b"OggS", "audio/ogg"),
    (b"fLaC", "audio/flac"),
    (b"\x1a\x45\xdf\xa3", "video/webm"),
)
_IN_MP4: Final = {b"M4A": "audio/mp4", b"iso": "video/mp4", b"mp4": "video/mp4"}  # others are pictures, for example
_IN_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}


class ShownFile:
    """`bytes` is the length of what came so far."""

    def __init__(self) -> None:
        self.bytes = 0
        self._digest = hashlib.sha256()
        self._head = b""
        self._tail = b""
        self._packet = b""

    def feed(self, chunk: bytes) -> None:
        """Read on."""
        self.bytes += len(chunk)
        self._digest.update(chunk)
        if len(self._head) < _HEAD_BYTES:
            self._head += chunk[: _HEAD_BYTES - len(self._head)]
        if self._packet:
            self._packet += chunk[: max(0, _PACKET_BYTES - len(self._packet))]
            return
        window = self._tail + chunk
        at = window.find(_SOUGHT)
        if at >= 0:
            self._packet = window[at : at + _PACKET_BYTES]
        self._tail = window[-len(_SOUGHT) :]

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    @property
    def mark(self) -> Mark | None:
        """The first mark in the file; None without one."""
        return Mark.found_in(self._packet)

    @property
    def media_type(self) -> str | None:
        """The kind of file by its first bytes; None for one that is not made here."""
        if self._head[:4] == b"RIFF":
            return _IN_RIFF.get(self._head[8:12])
        if self._head[4:8] == b"ftyp":
            return _IN_MP4.get(self._head[8:11])
        return next((media_type for begin, media_type in _BEGINNINGS if self._head.startswith(begin)), None)
