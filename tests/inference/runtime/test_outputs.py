"""The files that outputs become: sound as WAV, transcripts as JSON."""

import io
import json
import wave

import numpy as np
import pytest
from numpy.typing import NDArray

from services.common.errors import GenerationError
from services.common.provenance.wave import facts_in
from services.inference.runtime.outputs import AudioOutput, NothingMade, Segment, TranscriptOutput, Word
from tests.support.sounds import Heard

RATE = 24_000


def tone(seconds: float = 0.5, loudness: float = 0.5) -> NDArray[np.float32]:
    samples: NDArray[np.float32] = np.sin(2 * np.pi * 440 * np.arange(int(RATE * seconds)) / RATE).astype(np.float32)
    return samples * np.float32(loudness)


def test_sound_is_kept() -> None:
    """A sound becomes a WAV of 16 bits and one channel, whose samples differ by rounding alone."""
    encoded = AudioOutput(tone(), RATE).encode({})
    assert (encoded.media_type, encoded.extension, encoded.duration_seconds) == ("audio/wav", "wav", 0.5)
    with wave.open(io.BytesIO(encoded.data)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, RATE)
        read = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32767
    assert np.abs(read - tone()).max() <= 0.5 / 32767 + 1e-6
    assert Heard(encoded.data).pitch == pytest.approx(440, abs=2)


def test_long_sound_is_encoded_in_blocks() -> None:
    """A sound of more than a block has all its samples, in order."""
    samples = np.linspace(-1, 1, (1 << 20) + 12_345, dtype=np.float32)
    with wave.open(io.BytesIO(AudioOutput(samples, RATE).encode({}).data)) as file:
        read = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    assert len(read) == len(samples)
    assert (np.diff(read.astype(int)) >= 0).all()


def test_loud_sound_is_clipped() -> None:
    """What is louder than can be written is clipped, and does not wrap around."""
    with wave.open(io.BytesIO(AudioOutput(np.array([2, -2, 1, -1], np.float32), RATE).encode({}).data)) as file:
        assert list(np.frombuffer(file.readframes(4), "<i2")) == [32767, -32767, 32767, -32767]


@pytest.mark.parametrize("prompt", ["mug", "mugs", "Größe — 你好 ☕", "\ud800 broken"])
def test_facts_are_in_the_file(prompt: str) -> None:
    """How the sound was made can be read from the file, at even and odd lengths, by players too."""
    encoded = AudioOutput(tone(), RATE).encode({"prompt": prompt, "seed": "7", "software": "studio 1"})
    readable = prompt.encode(errors="replace").decode()
    assert facts_in(encoded.data)["prompt"] == readable
    tags = Heard(encoded.data).tags
    assert json.loads(tags["comment"])["seed"] == "7"
    assert tags["encoder"] == "studio 1"


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_that_overflow_are_no_sound(value: float) -> None:
    """A sound with a number that is none is refused, wherever it is."""
    samples = tone(60)
    samples[-1] = value
    with pytest.raises(GenerationError, match="overflowed"):
        AudioOutput(samples, RATE).encode({})


def test_no_samples_are_no_sound() -> None:
    """An output without samples is refused."""
    with pytest.raises(NothingMade, match="no sound"):
        AudioOutput(np.zeros(0, np.float32), RATE).encode({})


def test_transcript() -> None:
    """A transcript becomes JSON with text, language, duration, segments and words, and says its length."""
    words = [Word(" Red", 0.1, 0.4, 0.9), Word(" mug.", 0.4, 0.8, 0.8)]
    segments = [Segment(0, 0.1, 0.8, " Red mug.", words), Segment(1, 1.0, 1.5, " “Größe”", [])]
    encoded = TranscriptOutput("en", 2.0, segments).encode({"seed": "7"})
    assert (encoded.media_type, encoded.extension) == ("application/json", "json")
    assert (encoded.characters, encoded.duration_seconds) == (16, 2.0)
    read = json.loads(encoded.data)
    assert list(read) == ["text", "language", "duration", "segments"]
    assert (read["text"], read["language"], read["duration"]) == ("Red mug. “Größe”", "en", 2.0)
    assert read["segments"][0] == {
        "id": 0,
        "start": 0.1,
        "end": 0.8,
        "text": " Red mug.",
        "words": [
            {"word": " Red", "start": 0.1, "end": 0.4, "probability": 0.9},
            {"word": " mug.", "start": 0.4, "end": 0.8, "probability": 0.8},
        ],
    }
