"""The voice of the catalogue as the only model of a system, and what it says."""

import io
import wave
from functools import cache

from services.inference.adapters.tts import Tts
from services.inference.runtime.adapter import QUIET, Item
from services.inference.runtime.outputs import AudioOutput
from services.inference.runtime.sources import resolve_source
from tests.support.models.speech_models import MODELS, VOICE, entry
from tests.support.system import System

CATALOGUE = """
[models.{name}]
title = "Voice"
modality = "tts"
adapter = "tts"
source = "{source}"
sha256 = "{sha256}"
default = true
defaults = {{ voice = "heart" }}
limits = {{ voices = ["heart"] }}
max_batch = 4
"""


def offer_speech(system: System) -> None:
    """Have the system's only model speak. Call it before a process is started."""
    voice = entry(VOICE)
    catalogue = CATALOGUE.format(name=system.model, source=voice.source, sha256=voice.sha256)
    (system.folder / "models.toml").write_text(catalogue)


def samples_of(wav: bytes) -> bytes:
    """Return the samples of a stored sound, to compare with `expected_samples`."""
    with wave.open(io.BytesIO(wav)) as sound:
        return bytes(sound.readframes(sound.getnframes()))


def expected_samples(text: str, seed: int) -> bytes:
    """Return the samples that the voice makes of this text."""
    adapter = _voice()
    item = Item("job", 0, seed, text, "", adapter.model.parameters({"text": text, "seed": seed}))
    (output,) = adapter.generate([item], QUIET)
    if not isinstance(output, AudioOutput):
        raise TypeError(f"{text!r} gave no sound")
    return samples_of(output.encode({}).data)


@cache
def _voice() -> Tts:
    adapter = Tts(entry(VOICE), resolve_source(entry(VOICE), catalogue_folder=MODELS))
    adapter.prepare_thread(1)
    adapter.load("cpu")
    return adapter
