"""The `studio` command about the catalogue: what is on offer, and what is wrong with a file of it."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.exits import USAGE, leave
from services.cli.options import AsJson
from services.cli.tables import model_table, plain, print_table
from services.common.catalogue.catalogue import Catalogue
from services.common.catalogue.files import CatalogueFaults, check_file, load_catalogue
from services.common.settings import Settings

MODELS: Final = "models"
model_commands = typer.Typer()


@model_commands.command(MODELS)
def models(
    context: typer.Context,
    *,
    check: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Check a models.toml or styles.toml instead, and name all faults."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List the models on offer, or check a file of the catalogue.

    Exit codes: 0 done, 2 the catalogue has faults.
    """
    settings: Settings = context.obj
    if check is not None:
        _check(check, settings)
        return
    catalogue = loaded_catalogue(settings)
    if as_json:
        print(json.dumps([model.model_dump(mode="json") for model in catalogue.models.values()], indent=2))
    else:
        print_table(model_table(catalogue.models.values()))


def loaded_catalogue(settings: Settings) -> Catalogue:
    """Return the catalogue that the settings name. Ends the command where it has faults."""
    try:
        return load_catalogue(settings.catalogue, settings.styles)
    except CatalogueFaults as exc:
        leave(USAGE, plain(str(exc)))


def _check(file: Path, settings: Settings) -> None:
    try:
        catalogue = check_file(file, settings.catalogue, settings.styles)
    except CatalogueFaults as exc:
        leave(USAGE, "\n".join(map(plain, exc.faults)))
    print(f"{file} is right: {len(catalogue.models)} models, {len(catalogue.styles)} styles")
