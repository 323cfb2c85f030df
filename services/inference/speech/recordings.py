"""Recordings: decoded for the model, and cut into stretches at their silences, so that memory stays bounded."""

import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from services.inference.runtime.device_errors import first_line, is_out_of_memory
from services.inference.runtime.outputs import NothingMade

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

RATE: Final = 16_000  # samples a second: what Whisper hears
_LONGEST: Final = 300  # seconds of a stretch. The spectrum of an hour takes gigabytes, that of five minutes 200 MB.


@dataclass(frozen=True)
class Stretch:
    """A part of a recording with speech in it, which begins at `start` seconds."""

    start: float
    samples: "NDArray[np.float32]"


def decoded(content: bytes) -> "NDArray[np.float32]":
    """Return the samples of a sound file, mixed to one channel. Raise NothingMade for another kind of file."""
    from faster_whisper import decode_audio

    try:
        samples: NDArray[np.float32] = decode_audio(io.BytesIO(content), sampling_rate=RATE)
    except Exception as exc:
        if is_out_of_memory(exc):
            raise
        raise NothingMade(f"the recording cannot be read: {first_line(exc)}; send it as WAV or MP3") from exc
    return samples


def stretches(samples: "NDArray[np.float32]") -> Iterator[Stretch]:
    """Yield the stretches with speech, in order; none where there is no speech."""
    from faster_whisper.vad import VadOptions, get_speech_timestamps

    spoken = get_speech_timestamps(samples, VadOptions(max_speech_duration_s=_LONGEST)) if samples.size else []
    begin = end = 0
    for part in spoken:
        if end and part["end"] - begin > _LONGEST * RATE:
            yield Stretch(begin / RATE, samples[begin:end])
            end = 0
        begin, end = (begin if end else part["start"]), part["end"]
    if end:
        yield Stretch(begin / RATE, samples[begin:end])
