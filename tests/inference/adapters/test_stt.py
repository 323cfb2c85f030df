"""The adapter stt, with the listener of the catalogue, on sentences that the voice says."""

import io
import shutil
import socket
import wave
from itertools import pairwise
from pathlib import Path

import pytest

from services.api.core.formats import sound
from services.api.core.formats.file_format import FORMATS
from services.common.catalogue.catalogue import Model
from services.common.errors import InvalidRequest, ModelUnavailable
from services.common.provenance.mark import Mark, SourceType
from services.inference.adapters.stt import Stt
from services.inference.adapters.tts import Tts
from services.inference.runtime.adapter import Cancelled, Context
from services.inference.runtime.outputs import NothingMade
from services.inference.runtime.sources import Source, resolve_source
from tests.support.models.speech_models import MODELS, sound_item, spoken, text_item, words_of, written
from tests.support.sounds import sine, wav_of

SAID = "The red mug is ready to be shipped. Please collect it before Friday."
OTHER = "A blue vase stands on a wooden table."


@pytest.fixture(scope="session")
def recording(tts: Tts) -> bytes:
    """Return a WAV in which SAID is said."""
    (said,) = spoken(tts, text_item(SAID))
    return said


def test_words_agree(stt: Stt, tts: Tts, recording: bytes) -> None:
    """What was said is read back word for word, each recording of a batch for itself."""
    (other,) = spoken(tts, text_item(OTHER))
    first, second = written(stt, sound_item(recording), sound_item(other, job_id="other"))
    assert (words_of(first.text), words_of(second.text)) == (words_of(SAID), words_of(OTHER))
    assert (first.language, first.text[0]) == ("en", "T")


def test_words_have_times(stt: Stt, recording: bytes) -> None:
    """Segments and words lie in order within the recording, and the words make up the text."""
    (heard,) = written(stt, sound_item(recording))
    words = [word for segment in heard.segments for word in segment.words]
    assert "".join(word.word for word in words).strip() == heard.text
    assert [segment.id for segment in heard.segments] == list(range(len(heard.segments)))
    assert all(word.start < word.end <= heard.duration for word in words)
    assert all(one.end <= other.start + 0.001 for one, other in pairwise(words))
    assert all(0 < word.probability <= 1 for word in words)
    with wave.open(io.BytesIO(recording)) as file:
        assert heard.duration == pytest.approx(file.getnframes() / file.getframerate(), abs=0.01)


def test_same_seed_same_bytes(stt: Stt, recording: bytes) -> None:
    """A recording read again gives the same bytes."""
    first, again = written(stt, sound_item(recording), sound_item(recording))
    assert first.encode({}).data == again.encode({}).data


@pytest.mark.parametrize("name", ["mp3", "opus", "flac", "aac"])
def test_formats(stt: Stt, recording: bytes, name: str) -> None:
    """A recording is heard in other formats, also where much was left out to make it small."""
    (heard,) = written(stt, sound_item(sound.converted(recording, FORMATS[name], Mark(SourceType.TRAINED))))
    assert words_of(heard.text) == words_of(SAID)


@pytest.mark.parametrize("seconds", [0.0, 0.01, 4.0], ids=["empty", "a moment", "silent"])
def test_nothing_said(stt: Stt, seconds: float) -> None:
    """A recording without speech has an empty text, no invented one, and a warning."""
    told: list[str] = []
    context = Context(lambda *_: None, lambda _id: False, warn=lambda _id, code, _text: told.append(code))
    (heard,) = written(stt, sound_item(_silence(seconds)), context=context)
    assert (heard.text, heard.segments, told) == ("", [], ["no-speech"])
    assert heard.duration == pytest.approx(seconds, abs=0.01)


def test_tone_is_no_speech(stt: Stt) -> None:
    """A tone has no words."""
    (heard,) = written(stt, sound_item(sine(seconds=3)))
    assert heard.text == ""


def test_progress_follows_the_recording(stt: Stt, tts: Tts) -> None:
    """The share of the recording that was heard is reported after each segment, and ends with the whole."""
    (long,) = spoken(tts, text_item(f"{SAID} {OTHER} " * 4))
    seen: list[tuple[int, int]] = []
    context = Context(lambda step, total, *_: seen.append((step, total)), lambda _id: False)
    written(stt, sound_item(long), context=context)
    assert seen == sorted(seen)
    assert len(seen) > 3
    assert (seen[-1], 0 < seen[0][0] < 50) == ((100, 100), True)


def test_cancel_stops_within_one_segment(stt: Stt, tts: Tts) -> None:
    """A call whose jobs are all canceled ends after the segment that is being heard."""
    (long,) = spoken(tts, text_item(f"{SAID} {OTHER} " * 4))
    seen: list[int] = []
    context = Context(lambda step, *_: seen.append(step), lambda _id: len(seen) == 2)
    with pytest.raises(Cancelled):
        written(stt, sound_item(long), context=context)
    assert len(seen) == 2


def test_stretches_are_joined(stt: Stt, tts: Tts, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long recording is heard in stretches that are cut at silences, and its times go on."""
    monkeypatch.setattr("services.inference.speech.recordings._LONGEST", 6)
    (one,), (other,) = spoken(tts, text_item(SAID)), spoken(tts, text_item(OTHER))
    joined = _joined(one, _silence(3.0), other, _silence(3.0), one)
    (heard,) = written(stt, sound_item(joined))
    assert words_of(heard.text) == words_of(f"{SAID} {OTHER} {SAID}")
    assert heard.segments[-1].start > 10
    assert [segment.start for segment in heard.segments] == sorted(segment.start for segment in heard.segments)


def test_language_that_the_model_does_not_know(stt: Stt, recording: bytes) -> None:
    """The catalogue refuses a language that the model does not know; where it does not, a warning tells."""
    with pytest.raises(InvalidRequest, match="en"):
        sound_item(recording, language="de")
    item = sound_item(recording)
    item = type(item)(**{**vars(item), "params": item.params.model_copy(update={"language": "de"})})
    told: list[str] = []
    context = Context(lambda *_: None, lambda _id: False, warn=lambda _id, code, _text: told.append(code))
    (heard,) = written(stt, item, context=context)
    assert (words_of(heard.text), told) == (words_of(SAID), ["parameter-unused"])


@pytest.mark.parametrize("content", [b"", b"no sound", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_recording(stt: Stt, content: bytes) -> None:
    """A file that is no sound fails the job in a sentence."""
    with pytest.raises(NothingMade, match="the recording cannot be read"):
        written(stt, sound_item(content))


@pytest.mark.parametrize("name", ["model.bin", "config.json", "tokenizer.json"])
def test_folder_that_lacks_a_file(stt: Stt, whisper: Model, tmp_path: Path, name: str) -> None:
    """A folder without one of the needed files is refused by its name; the hub is not asked for another's."""
    folder = shutil.copytree(stt.source.location, tmp_path / "model", ignore=shutil.ignore_patterns(name))
    with pytest.raises(ModelUnavailable, match=f"lacks {name}"):
        Stt(whisper, Source(str(folder))).load("cpu")


def test_damaged_weights(stt: Stt, whisper: Model, tmp_path: Path) -> None:
    """Weights that are cut short are refused in a sentence."""
    folder = shutil.copytree(stt.source.location, tmp_path / "model")
    (folder / "model.bin").write_bytes((folder / "model.bin").read_bytes()[:100_000])
    with pytest.raises(ModelUnavailable, match=r"cannot be loaded.*download the model again"):
        Stt(whisper, Source(str(folder))).load("cpu")


@pytest.mark.parametrize("device", ["cuda:99", "cuda:x"])
def test_device_that_is_not_there(stt: Stt, device: str) -> None:
    """A device that is not there is named, with what to set instead."""
    with pytest.raises(ModelUnavailable, match=f"{device}.*STUDIO_DEVICE"):
        Stt(stt.model, stt.source).load(device)


def test_nothing_is_fetched(
    whisper: Model, recording: bytes, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Loading and listening open no connection and print nothing."""

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    fresh = Stt(whisper, resolve_source(whisper, catalogue_folder=MODELS))
    fresh.load("auto")
    assert written(fresh, sound_item(recording))
    fresh.close()
    assert capfd.readouterr() == ("", "")


def _silence(seconds: float) -> bytes:
    return wav_of(bytes(2 * int(24_000 * seconds)))


def _joined(*sounds: bytes) -> bytes:
    samples = []
    for each in sounds:
        with wave.open(io.BytesIO(each)) as file:
            samples.append(file.readframes(file.getnframes()))
    return wav_of(b"".join(samples))
