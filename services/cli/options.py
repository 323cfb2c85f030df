"""What several commands of `studio` take."""

from typing import Annotated

import typer

from services.cli.exits import USAGE, leave
from services.common.catalogue import Catalogue, Model
from services.common.settings import Settings

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
ModelName = Annotated[str | None, typer.Option("--model", help="A model of the catalogue; default: the one marked so.")]


def chosen_model(settings: Settings, catalogue: Catalogue, name: str | None) -> Model:
    """The one asked for, else the settings' or the catalogue's own; ends the command when there is none such."""
    wanted = name or settings.model or catalogue.default_model.name
    if wanted not in catalogue.models:
        leave(USAGE, f"no model {wanted!r} in {settings.catalogue}; there are {', '.join(sorted(catalogue.models))}")
    return catalogue.models[wanted]
