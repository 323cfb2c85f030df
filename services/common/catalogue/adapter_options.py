"""The declarations of adapters: the modality of each, and what its `options` in a catalogue may hold.

Those of this project stand here and not beside the adapters, whose imports would slow down every command. Another
package's adapter says both itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

Precision = Literal["auto", "float32", "bfloat16"]
ChangeName = Literal["kept-memory", "timestep", "rounding", "traced-denoiser", "decoder"]


class DiffusersOptions(BaseModel):
    """`off` lists changes of the pipeline to leave out (diffusers/changes.py); `cpu` stands for several of them.

    `on` lists those to make that no model gets unasked.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: Precision = "auto"
    off: list[Literal[ChangeName, "cpu"]] = []
    on: list[Literal["traced-denoiser"]] = []


class NoOptions(BaseModel):
    """The adapter takes none."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True)
class Declaration:
    """`options` is None for an adapter that takes any."""

    modality: str
    options: type[BaseModel] | None


GROUP: Final = "studio.models"
ADAPTERS: Final[Mapping[str, Declaration]] = {
    "txt2img": Declaration("txt2img", DiffusersOptions),
    "img2img": Declaration("img2img", DiffusersOptions),
    "tts": Declaration("tts", NoOptions),
    "stt": Declaration("stt", NoOptions),
}


@cache
def declaration_of(adapter: str) -> Declaration | None:
    """Return what the adapter of this name, or `package.module:Class`, says that it takes.

    None for one that cannot be imported here: it may be installed where the worker runs, which tells what is wrong.
    """
    if adapter in ADAPTERS:
        return ADAPTERS[adapter]
    named = (
        EntryPoint(adapter, adapter, GROUP)
        if ":" in adapter
        else next(iter(entry_points(group=GROUP, name=adapter)), None)
    )
    try:
        found = named.load() if named else None
    except (Exception, SystemExit):  # noqa: BLE001 - of whatever an import runs
        return None
    modality, options = getattr(found, "modality", None), getattr(found, "options", None)
    return Declaration(modality, options) if isinstance(modality, str) else None
