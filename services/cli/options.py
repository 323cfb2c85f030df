"""Options that several `studio` commands share."""

from typing import Annotated

import typer

from services.cli.exits import USAGE, leave
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.settings import Settings
from services.common.suggestions import unknown

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
Offline = Annotated[bool, typer.Option("--offline", help="Fetch no weights, as with HF_HUB_OFFLINE=1.")]
ModelName = Annotated[str | None, typer.Option("--model", help="A model of the catalogue; default: the default model.")]
ModelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="<str>",
        help="A model of the catalogue to serve; again for another. Default: see STUDIO_MODELS.",
    ),
]


def chosen_model(settings: Settings, catalogue: Catalogue, name: str | None) -> Model:
    """Return the model asked for, or the default of settings or catalogue. Ends the command for an unknown name."""
    wanted = name or settings.model or catalogue.default_model.name
    return named_model(settings, catalogue, wanted, "--model" if name else "STUDIO_MODEL")


def named_model(settings: Settings, catalogue: Catalogue, name: str, where: str) -> Model:
    """Return the model that is named `where` an option or a variable stands. Ends the command for an unknown name."""
    if name not in catalogue.models:
        leave(USAGE, f"{where}: {unknown('model', name, catalogue.models)} (in {settings.catalogue})")
    return catalogue.models[name]
