"""Sound, stored as WAV: 16-bit PCM, so that nothing is lost before a client picks its format.

The layout is that of the Multimedia Programming Interface and Data Specifications 1.0 (IBM and Microsoft, 1991).
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.common.errors import GenerationError
from services.inference.runtime.outputs.output import Encoded, NothingMade

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_PCM: Final = 1  # the format's number in `fmt `
_SAMPLE_BYTES: Final = 2
_LOUDEST: Final = 32767
_BLOCK: Final = 1 << 20  # samples
# INFO names no encoding. UTF-8 is what FFmpeg and the players built on it read.
_COMMENT: Final = b"ICMT"
_SOFTWARE: Final = b"ISFT"


@dataclass(frozen=True)
class AudioOutput:
    """Sound of one channel: `samples` are float32 from -1 to 1, `sample_rate` of them a second; louder is clipped.

    The metadata become JSON in the comment of the file's INFO list.
    """

    samples: "NDArray[np.float32]"
    sample_rate: int

    def encode(self, metadata: dict[str, str]) -> Encoded:
        """Return the file. Raise NothingMade where there is no sound, and GenerationError where numbers overflowed."""
        import numpy as np

        if not self.samples.size:
            raise NothingMade("the model has no sound for this text: give it words that it can say")
        pcm = np.empty(self.samples.size, "<i2")
        for begin in range(0, pcm.size, _BLOCK):  # so that a long sound is held once as floats, and not several times
            block = self.samples[begin : begin + _BLOCK]
            if not np.isfinite(block).all():
                raise GenerationError("the model made something that is no sound: its numbers overflowed")
            pcm[begin : begin + _BLOCK] = np.rint(np.clip(block, -1, 1) * _LOUDEST)
        seconds = round(pcm.size / self.sample_rate, 3)
        return Encoded(self._wave(pcm.tobytes(), metadata), "audio/wav", "wav", duration_seconds=seconds)

    def _wave(self, pcm: bytes, metadata: Mapping[str, str]) -> bytes:
        second = self.sample_rate * _SAMPLE_BYTES
        layout = struct.pack("<HHIIHH", _PCM, 1, self.sample_rate, second, _SAMPLE_BYTES, 8 * _SAMPLE_BYTES)
        # The facts come before the samples, so that a reader of the beginning finds them.
        head = b"WAVE" + _chunk(b"fmt ", layout) + _facts(metadata)
        sizes = struct.pack("<4sI", b"data", len(pcm))
        return b"".join((struct.pack("<4sI", b"RIFF", len(head) + len(sizes) + len(pcm)), head, sizes, pcm))


def _facts(metadata: Mapping[str, str]) -> bytes:
    if not metadata:
        return b""
    texts = {_COMMENT: json.dumps(metadata, ensure_ascii=False), _SOFTWARE: metadata.get("software", "")}
    entries = [_chunk(name, text.encode(errors="replace") + b"\0") for name, text in texts.items() if text]
    return _chunk(b"LIST", b"INFO" + b"".join(entries))


def _chunk(name: bytes, content: bytes) -> bytes:
    """Return a chunk, which is padded to an even length. Its stated length leaves the padding out."""
    return struct.pack("<4sI", name, len(content)) + content + b"\0" * (len(content) % 2)
