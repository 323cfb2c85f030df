"""The declarations of this project's adapters: the modality of each, and what its `options` in a catalogue may hold.

They stand here and not beside the adapters, so that a catalogue is checked where no model library is installed. The
options of another package's adapter are its own to check.
"""

from collections.abc import Mapping
from dataclasses import dataclass
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


@dataclass(frozen=True)
class Declaration:
    modality: str
    options: type[BaseModel]


ADAPTERS: Final[Mapping[str, Declaration]] = {"txt2img": Declaration("txt2img", DiffusersOptions)}
