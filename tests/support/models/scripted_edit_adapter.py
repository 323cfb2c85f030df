"""The scripted adapter for a modality that takes a picture: what it makes depends on every byte of it, too."""

import hashlib
from collections.abc import Sequence
from dataclasses import replace

from services.inference.runtime.adapter import Context, Item
from services.inference.runtime.outputs import Output
from tests.support.models.scripted_adapter import ScriptedAdapter, expected_pixels
from tests.support.system import System

CATALOGUE = """
[models.{name}]
title = "Scripted edits"
modality = "img2img"
adapter = "tests.support.models.scripted_edit_adapter:ScriptedEditAdapter"
source = "."
default = true
defaults = {{ width = 64, height = 64, steps = 1, guidance = 1.0 }}
max_batch = 4
options = {{ calls = "{calls}", seconds = {seconds} }}
"""


def offer_edits(system: System, seconds: float = 0.0) -> None:
    """Have the system's only model take a picture, instead of none. Call it before a process is started."""
    catalogue = CATALOGUE.format(name=system.model, calls=system.calls, seconds=seconds)
    (system.folder / "models.toml").write_text(catalogue)


class ScriptedEditAdapter(ScriptedAdapter):
    modality = "img2img"

    def generate(self, batch: Sequence[Item], context: Context) -> list[Output]:
        seen = [hashlib.sha256(item.inputs["image"]).hexdigest() for item in batch]
        return super().generate(
            [replace(item, prompt=f"{item.prompt}|{digest}") for item, digest in zip(batch, seen, strict=True)], context
        )


def edited_pixels(prompt: str, seed: int, sha256: str) -> bytes:
    """Return the pixels that the adapter makes of this prompt, seed and picture."""
    return expected_pixels(f"{prompt}|{sha256}", seed)
