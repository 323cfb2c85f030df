"""The model and device that a benchmark measures: by default the shipped model on the CPU."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from services.common.catalogue.catalogue import Catalogue, Model
from services.common.catalogue.files import load_catalogue
from tests.support.system import ROOT

MODELS: Final = ROOT / "models" / "models.toml"


@dataclass(frozen=True)
class Subject:
    """The default model of the catalogue `models`, on `device`."""

    models: Path = MODELS
    device: str = "cpu"

    @property
    def catalogue(self) -> Catalogue:
        return load_catalogue(self.models, MODELS.with_name("styles.toml"))

    @property
    def model(self) -> Model:
        return self.catalogue.default_model

    @property
    def size(self) -> str:
        """The size of an image in pixels, as WIDTHxHEIGHT."""
        return "{width}x{height}".format_map(self.model.defaults)

    def section(self, benchmark: str) -> str:
        """Return the name of this subject's section in the report; the shipped model has the plain name."""
        return benchmark if self == SHIPPED else f"{benchmark} of {self.model.name} on {self.device}"


SHIPPED: Final = Subject()
