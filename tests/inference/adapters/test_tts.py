"""The adapter tts, with the voice of the catalogue."""

import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.common.errors import InvalidRequest, ModelUnavailable
from services.inference.adapters.tts import Tts
from services.inference.runtime.adapter import Cancelled, Context, Item
from services.inference.runtime.outputs import AudioOutput, NothingMade
from services.inference.runtime.sources import Source, resolve_source
from tests.support.models.speech_models import MODELS, VOICE, entry, spoken, text_item

ONE, TWO = "Your mug is ready.", "Please collect it before Friday."


def test_same_seed_same_bytes(tts: Tts) -> None:
    """A text said again, after another one, gives the same bytes, and so it does beside others in a call."""
    (first,), (other,), (again,) = (spoken(tts, text_item(text)) for text in (ONE, TWO, ONE))
    _, beside = spoken(tts, text_item(TWO, job_id="other"), text_item(ONE))
    assert first == again == beside
    assert first != other


def test_a_new_adapter_says_the_same(tts: Tts) -> None:
    """A seed gives the same bytes after a restart of the worker."""
    fresh = Tts(entry(VOICE), resolve_source(entry(VOICE), catalogue_folder=MODELS))
    fresh.prepare_thread(1)
    fresh.load("cpu")
    assert spoken(fresh, text_item(ONE)) == spoken(tts, text_item(ONE))
    fresh.close()


@pytest.mark.parametrize("other", [text_item(ONE, 2), text_item(ONE, speed=1.5)], ids=["seed", "speed"])
def test_parameters_change_the_sound(tts: Tts, other: Item) -> None:
    """Another seed or speed gives other bytes."""
    assert spoken(tts, text_item(ONE)) != spoken(tts, other)


def test_speed(tts: Tts) -> None:
    """Twice the speed takes about half the time, and a quarter of it about four times as long."""
    seconds = [_seconds(tts, text_item(TWO, speed=speed)) for speed in (0.25, 1.0, 2.0)]
    assert seconds[0] / seconds[1] == pytest.approx(4, rel=0.1)
    assert seconds[1] / seconds[2] == pytest.approx(2, rel=0.25)


def test_progress_counts_the_sentences(tts: Tts) -> None:
    """Every sentence of a batch of texts is reported, in order, with the number of all."""
    seen: list[tuple[int, int]] = []
    batch = text_item(f"{ONE} {TWO}"), text_item(TWO, job_id="other")
    spoken(tts, *batch, context=Context(lambda step, total, *_: seen.append((step, total)), lambda _job_id: False))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_cancel_stops_within_one_sentence(tts: Tts) -> None:
    """A call whose jobs are all canceled during a sentence ends with it."""
    said: list[int] = []
    context = Context(lambda step, *_: said.append(step), lambda _job_id: len(said) == 2)
    with pytest.raises(Cancelled):
        spoken(tts, text_item(f"{ONE} {TWO} " * 5), context=context)
    assert said == [1, 2]


def test_canceled_before_the_first_sentence(tts: Tts) -> None:
    """A call whose jobs are all canceled says nothing."""
    said: list[int] = []
    with pytest.raises(Cancelled):
        spoken(tts, text_item(ONE), context=Context(lambda step, *_: said.append(step), lambda _job_id: True))
    assert said == []


def test_a_canceled_job_does_not_stop_its_batch_mates(tts: Tts) -> None:
    """The sentences of a canceled job are left out after the one that is being said, and the others are whole."""
    said: list[int] = []
    batch = [text_item(f"{ONE} " * 20, job_id="unwanted"), text_item(TWO, job_id="wanted")]
    context = Context(lambda step, *_: said.append(step), lambda job_id: job_id == "unwanted")
    _, wanted = spoken(tts, *batch, context=context)
    assert said == [1, 21]
    assert [wanted] == spoken(tts, text_item(TWO))


def test_all_texts_may_share_a_call(tts: Tts) -> None:
    """Texts of any length, speed and seed may share a call."""
    assert tts.batch_key(text_item(ONE)) == tts.batch_key(text_item(TWO * 9, 7, job_id="other", speed=2.0))


@pytest.mark.parametrize(
    ("text", "left_out"),
    [
        ("Hello 你好 there ☕, my friend.", "你好 ☕"),
        ("It is 5 €.", "€"),
        ("m~)mİ is no word", "m~)mİ"),  # a word that the library's rules trip over
        ("Naïve café, ½ price: 20°C for $5 at 9:30am on 2026-12-01 — “quoted”…", None),
    ],
)
def test_words_without_a_sound_are_told(tts: Tts, text: str, left_out: str | None) -> None:
    """Words that the voice cannot say are named in a warning of their own job, and the others are said."""
    told: list[tuple[str, str, str]] = []
    context = Context(lambda *_: None, lambda _id: False, warn=lambda *warning: told.append(warning))
    assert all(len(sound) > 20_000 for sound in spoken(tts, text_item(text), text_item(ONE), context=context))
    if left_out is None:
        assert told == []
    else:
        ((job_id, code, message),) = told
        assert (job_id, code) == ("job", "words-unsaid")
        assert message.endswith(f": {left_out}")


def test_text_without_any_sound(tts: Tts) -> None:
    """A text of which nothing can be said fails in a sentence of its own, and its batch mates do not."""
    silent, heard = tts.generate([text_item("你好。☕", job_id="other"), text_item(ONE)], _quiet())
    with pytest.raises(NothingMade, match="give it words that it can say"):
        silent.encode({})
    assert heard.encode({}).duration_seconds


@pytest.mark.parametrize(
    "text",
    ["1", "x/", "1-", "aA", "[x](", "$", "²", "a\n", "e\u0301"],
)
def test_odd_texts_are_read_in_time(tts: Tts, text: str) -> None:
    """The first sentence of the longest texts of marks and digits is said within seconds, and a cancel ends them."""
    begin, seconds = time.process_time(), list[float]()
    context = Context(lambda *_: seconds.append(time.process_time() - begin), lambda _job_id: bool(seconds))
    with pytest.raises(Cancelled):
        spoken(tts, text_item(text * (4900 // len(text)) + " the end. " + ONE), context=context)
    assert len(seconds) == 1
    assert seconds[0] < 20


def test_parts_are_bounded(tts: Tts, monkeypatch: pytest.MonkeyPatch) -> None:
    """No run of the network makes more than a minute of sound, however long the sentence and slow the speech."""
    made: list[int] = []
    voice = tts._voices["heart"]
    original: Callable[..., object] = voice.from_ids

    def counted(ids: list[int], *rest: object) -> object:
        made.append(len(ids))
        return original(ids, *rest)

    monkeypatch.setattr(voice, "from_ids", counted)
    (sound,) = tts.generate([text_item("word " * 200, speed=0.25)], _quiet())
    assert isinstance(sound, AudioOutput)
    assert max(made) <= 102
    assert len(made) > 5, "the sentence is cut"


@pytest.mark.parametrize(("params", "names"), [({"voice": "emma"}, "heart"), ({"speed": 9.0}, "speed")])
def test_what_the_model_cannot_do_is_refused(params: dict[str, Any], names: str) -> None:
    """An unknown voice and a speed out of range are refused by the catalogue, before any job."""
    with pytest.raises(InvalidRequest, match=names):
        text_item(ONE, **params)


def test_voice_that_is_not_there(tts: Tts) -> None:
    """A catalogue that offers a voice whose file is not there keeps the worker from starting, with the cure."""
    model = entry(VOICE).model_copy(update={"limits": entry(VOICE).limits.model_copy(update={"voices": ("emma",)})})
    with pytest.raises(ModelUnavailable, match=r"has no voice emma, only heart.*\[models\.hibari\]"):
        Tts(model, tts.source).load("cpu")


def test_folder_without_a_voice(tts: Tts, tmp_path: Path) -> None:
    """A folder that holds no voice is refused with the names of the files that would be one."""
    with pytest.raises(ModelUnavailable, match=r"no voice of hibari.*bf_emma\.int8\.onnx"):
        Tts(tts.model, Source(str(tmp_path))).load("cpu")


def test_damaged_voice(tts: Tts, tmp_path: Path) -> None:
    """A file that is no network is refused in a sentence."""
    (tmp_path / "hibari.onnx").write_bytes(b"no network")
    with pytest.raises(ModelUnavailable, match=r"cannot be loaded.*install hibari-tts again"):
        Tts(tts.model, Source(str(tmp_path))).load("cpu")


def test_nothing_is_fetched(tts: Tts, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    """Loading and speaking open no connection and print nothing."""

    def refuse(*_: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    fresh = Tts(entry(VOICE), tts.source)
    fresh.load("cuda")
    assert spoken(fresh, text_item("Zyxgorp " + ONE))
    fresh.close()
    assert capfd.readouterr() == ("", "")


def _seconds(tts: Tts, item: Item) -> float:
    (output,) = tts.generate([item], _quiet())
    return output.encode({}).duration_seconds or 0.0


def _quiet() -> Context:
    return Context(lambda *_: None, lambda _job_id: False)
