"""The voice and the listener of the catalogue, and items for them."""

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from services.common.catalogue.catalogue import Model
from services.common.catalogue.files import load_catalogue
from services.inference.adapters.stt import Stt
from services.inference.adapters.tts import Tts
from services.inference.runtime.adapter import QUIET, Context, Item
from services.inference.runtime.fetching.packages import fetch_package
from services.inference.runtime.outputs import AudioOutput, TranscriptOutput
from services.inference.runtime.sources import resolve_source

MODELS = Path(__file__).resolve().parents[3] / "models"
VOICE, LISTENER = "hibari", "whisper-tiny-en"
NO_FILE = "00000000-0000-7000-8000-000000000000"  # the bytes are in the item


@cache
def entry(name: str) -> Model:
    """Return a model of the catalogue."""
    return load_catalogue(MODELS / "models.toml", MODELS / "styles.toml").models[name]


@pytest.fixture(scope="session")
def tts() -> Iterator[Tts]:
    """Load the voice, with one thread."""
    adapter = Tts(entry(VOICE), resolve_source(entry(VOICE), catalogue_folder=MODELS))
    adapter.prepare_thread(1)
    adapter.load("cpu")
    yield adapter
    adapter.close()


@pytest.fixture(scope="session")
def whisper() -> Model:
    """Return the listener's entry, once its 71 MB are in the cache of this machine."""
    fetch_package(entry(LISTENER))
    return entry(LISTENER)


@pytest.fixture(scope="session")
def stt(whisper: Model) -> Iterator[Stt]:
    """Load the listener, with one thread."""
    adapter = Stt(whisper, resolve_source(whisper, catalogue_folder=MODELS))
    adapter.prepare_thread(1)
    adapter.load("cpu")
    yield adapter
    adapter.close()


def text_item(text: str, seed: int = 1, *, job_id: str = "job", **params: Any) -> Item:
    checked = entry(VOICE).parameters({"text": text, **params})
    return Item(job_id, 0, seed, text, "", checked)


def sound_item(data: bytes, *, job_id: str = "job", **params: Any) -> Item:
    checked = entry(LISTENER).parameters({"audio": NO_FILE, **params})
    return Item(job_id, 0, 1, "", "", checked, inputs={"audio": data})


def spoken(adapter: Tts, *batch: Item, context: Context = QUIET) -> list[bytes]:
    """Return the texts as WAV files."""
    outputs = adapter.generate(batch, context)
    return [output.encode({}).data for output in outputs if isinstance(output, AudioOutput)]


def written(adapter: Stt, *batch: Item, context: Context = QUIET) -> Sequence[TranscriptOutput]:
    """Return what was heard in the sounds."""
    return [output for output in adapter.generate(batch, context) if isinstance(output, TranscriptOutput)]


def words_of(text: str) -> list[str]:
    """Return the words without marks and capitals."""
    return "".join(mark if mark.isalnum() else " " for mark in text.lower()).split()
