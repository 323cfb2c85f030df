"""Sounds that tests make up, and read back."""

import io
import json
import wave
from collections.abc import Mapping
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray


def wav_of(samples: bytes, rate: int = 24_000, channels: int = 1) -> bytes:
    """Return 16-bit samples as a WAV."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setparams((channels, 2, rate, 0, "NONE", ""))
        file.writeframes(samples)
    return buffer.getvalue()


def sine(rate: int = 24_000, channels: int = 1, seconds: float = 0.5, facts: Mapping[str, str] | None = None) -> bytes:
    """Return a WAV with a tone of 440 Hz, with these facts in it as a worker writes them."""
    tone = np.sin(2 * np.pi * 440 * np.arange(int(rate * seconds)) / rate)
    plain = wav_of(np.repeat((tone * 8000).astype("<i2"), channels).tobytes(), rate, channels)
    comment = json.dumps(dict(facts or {}), ensure_ascii=False).encode() + b"\0"
    info = b"INFO" + _chunk(b"ICMT", comment)
    return _chunk(b"RIFF", plain[8:] + (_chunk(b"LIST", info) if facts else b""))


def _chunk(name: bytes, content: bytes) -> bytes:
    return name + len(content).to_bytes(4, "little") + content + b"\0" * (len(content) % 2)


class Heard:
    """A file of sound, decoded: `samples` from -1 to 1 of the first channel, and the `tags` of the file."""

    def __init__(self, data: bytes) -> None:
        with av.open(io.BytesIO(data), "r") as file:
            stream = file.streams.audio[0]
            self.codec, self.rate, self.channels = stream.codec_context.name, stream.rate, stream.layout.nb_channels
            self.tags = {**file.metadata, **stream.metadata}
            frames: list[NDArray[Any]] = []
            for frame in file.decode(stream):
                samples = frame.to_ndarray().astype(float)
                frames.append(samples[0, :: 1 if frame.format.is_planar else self.channels])
                self._loudest = 1.0 if frame.format.name.startswith(("flt", "dbl")) else 32768.0
        self.samples = np.concatenate(frames) / self._loudest

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    @property
    def pitch(self) -> float:
        """The loudest frequency, in Hz."""
        spectrum = np.abs(np.fft.rfft(self.samples))
        return float(np.argmax(spectrum) / self.seconds)
