"""A modality that another package adds: one module, one adapter, one catalogue entry, and nothing else."""

import io
import wave
from pathlib import Path

from tests.support.operator import studio
from tests.support.system import ROOT, running_system

# What a package would ship: the modality, the adapter, and the entry points that name both.
MODALITY = """
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from services.common.modalities.limits import Limits
from services.common.modalities.modality import Cost, Media, Modality
from services.common.modalities.params import Params, Text


class MelodyParams(Params):
    notes: Annotated[Text, Field(title="Notes", description="From a to g, in a row.")]
    tempo: Annotated[int, Field(ge=20, le=300, title="Tempo", description="Notes a minute.")] = 120


class MelodyLimits(Limits):
    max_tempo: Annotated[int, Field(ge=20, le=300)] = 300

    def faults(self, params: dict[str, Any]):
        if params.get("tempo", 0) > self.max_tempo:
            yield "tempo", f"20 to {self.max_tempo}"


@dataclass(frozen=True, kw_only=True)
class Melodies(Modality):
    def cost(self, params, inputs):
        return Cost("melody", len(self.title(params)))


TXT2MELODY = Melodies(
    name="txt2melody", params=MelodyParams, makes=Media.AUDIO, limits=MelodyLimits, subject="notes"
)
"""
ADAPTER = """
import io, math, struct, wave

from pydantic import BaseModel

from services.inference.runtime.adapter import ModelAdapter
from services.inference.runtime.outputs import Encoded

RATE = 8000


class Options(BaseModel, extra="forbid"):
    octave: int = 4


class Melody:
    def __init__(self, item, octave):
        self.seconds = 60 / item.params.tempo
        self.tones = [27.5 * 2 ** (octave + "abcdefg".find(note) / 7) for note in item.prompt if note in "abcdefg"]

    def encode(self, metadata):
        count = int(self.seconds * RATE)
        frames = b"".join(
            struct.pack("<h", int(9000 * math.sin(2 * math.pi * tone * k / RATE))) for tone in self.tones
            for k in range(count)
        )
        buffer = io.BytesIO()
        with wave.open(buffer, "wb") as sound:
            sound.setparams((1, 2, RATE, 0, "NONE", ""))
            sound.writeframes(frames)
        return Encoded(buffer.getvalue(), "audio/wav", "wav", duration_seconds=self.seconds * len(self.tones))


class Player(ModelAdapter):
    modality = "txt2melody"
    options = Options

    def load(self, device):
        pass

    def generate(self, batch, context):
        return [Melody(item, self.model.options.get("octave", 4)) for item in batch]

    def close(self):
        pass
"""
ENTRY_POINTS = """
[studio.modalities]
txt2melody = melody_modality:TXT2MELODY
[studio.models]
melody = melody_adapter:Player
"""
CATALOGUE = """
[models.pianola]
title = "Pianola"
modality = "txt2melody"
adapter = "melody"
source = "."
default = true
defaults = { tempo = 240 }
limits = { max_tempo = 250 }
options = { octave = 4 }
"""


def _install(folder: Path) -> None:
    """Put the package into a folder, as an installer would."""
    about = folder / "melody-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: melody\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    (folder / "melody_modality.py").write_text(MODALITY)
    (folder / "melody_adapter.py").write_text(ADAPTER)


def test_another_packages_modality_is_served(tmp_path: Path) -> None:
    """Its job is checked, made, stored and shown like one of ours: in the API, in its file and on the page."""
    _install(tmp_path / "site")
    (tmp_path / "models.toml").write_text(CATALOGUE)
    with running_system(tmp_path, {}, tmp_path / "models.toml") as system:
        system.environment["PYTHONPATH"] = f"{tmp_path / 'site'}:{ROOT}"
        system.start_gateway()
        system.start_worker()

        model = system.client.get("/v1/models/pianola").json()
        refused = system.client.post("/v1/jobs", json={"notes": "cdef", "tempo": 260})
        path = system.client.post("/", data={"notes": "ceg", "model": "pianola"}).headers["Location"]
        made = system.wait(path.rpartition("/")[2])
        page = system.client.get(path).text
        sound = system.client.get(made["artifacts"][0]["url"])
        form = system.client.get("/", headers={"Accept": "text/html"}).text

    assert (model["makes"], model["limits"], model["inputs"]) == ("audio", {"max_tempo": 250}, {})
    assert (refused.status_code, refused.json()["errors"][0]["allowed"]) == (422, "20 to 250")
    assert (made["state"], made["params"]["tempo"], made["artifacts"][0]["duration_seconds"]) == (
        "succeeded",
        240,
        0.75,
    )
    assert sound.headers["Content-Type"] == "audio/wav"
    with wave.open(io.BytesIO(sound.content)) as read:
        assert read.getnframes() == 3 * 2000
    assert "<audio" in page
    assert 'name="notes"' in form
    assert "photograph" not in form


def test_its_entries_are_checked(tmp_path: Path) -> None:
    """Its limits and its adapter's options are checked when the catalogue is read, also where no worker runs."""
    _install(tmp_path / "site")
    wrong = CATALOGUE.replace("octave = 4", 'octave = "low"').replace("max_tempo = 250", "max_tempo = 10")
    (tmp_path / "models.toml").write_text(wrong)
    with running_system(tmp_path, {}, tmp_path / "models.toml") as system:
        system.environment["PYTHONPATH"] = f"{tmp_path / 'site'}:{ROOT}"
        done = studio(system, "models", "--check", "models.toml")
    assert done.returncode == 2
    assert "[models.pianola] limits.max_tempo: must be at least 20, not 10" in done.stderr
    assert "[models.pianola] options.octave: must be a whole number, not 'low'" in done.stderr
