"""The `studio` command: the only place that reads the environment and wires things together."""

from typing import Annotated

import typer

from services.cli.dead_commands import dead_commands
from services.cli.exits import FAILED, USAGE, errors, leave, run
from services.cli.health import NotReady, Service, ask_health
from services.cli.job_commands import job_commands
from services.cli.key_commands import key_commands
from services.cli.model_commands import MODELS, loaded_catalogue, model_commands
from services.cli.on_call_commands import on_call_commands
from services.cli.options import ModelNames, Offline, chosen_model
from services.cli.serve.process import ensure_temporary_folder, raise_file_limit
from services.cli.terminal import standard_streams
from services.common.load_settings import load_settings
from services.common.network.offline import go_offline
from services.common.settings import Settings
from services.common.telemetry.logging import configure_logging
from services.common.telemetry.uncaught import log_uncaught

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Put a generative model into production.")


@app.callback(invoke_without_command=True)
def studio(context: typer.Context, *, model: ModelNames = None, offline: Offline = False) -> None:
    """Run gateway and worker on this machine, for all models that are installed; with a command, run only that."""
    settings = _configure()
    if offline:
        go_offline()
    if context.invoked_subcommand == MODELS:  # also where the catalogue is what is wrong
        context.obj = settings
        return
    catalogue = loaded_catalogue(settings)
    context.obj = (settings, catalogue)
    if context.invoked_subcommand is None:
        from services.cli.serve.served_models import INSTALLED, served_models
        from services.cli.serve.studio import run_studio

        run(run_studio(settings, catalogue, served_models(settings, catalogue, model, unset=INSTALLED), errors))


@app.command()
def api(context: typer.Context) -> None:
    """Run only the gateway."""
    from services.cli.serve.gateway import run_gateway

    settings, catalogue = context.obj
    chosen_model(settings, catalogue, None)
    run(run_gateway(settings, catalogue))


@app.command()
def worker(
    context: typer.Context,
    *,
    model: ModelNames = None,
    offline: Offline = False,
    attended: Annotated[bool, typer.Option(help="Stop when standard input closes.", hidden=True)] = False,
) -> None:
    """Run only a worker, for one model or several."""
    from services.cli.serve.served_models import served_models
    from services.cli.serve.worker import run_worker

    if offline:
        go_offline()
    settings, catalogue = context.obj
    models = served_models(settings, catalogue, model)
    raise typer.Exit(run(run_worker(settings, catalogue, models, attended=attended)))


@app.command()
def health(context: typer.Context, service: Annotated[Service, typer.Argument(help="The service to ask.")]) -> None:
    """Exit with 0 if the gateway or worker on this machine is ready, else with 1."""
    settings, _ = context.obj
    try:
        run(ask_health(settings, service))
    except NotReady as exc:
        leave(FAILED, str(exc))


app.add_typer(model_commands, name=MODELS)
app.add_typer(job_commands)
app.add_typer(on_call_commands)
app.add_typer(key_commands, name="keys")
app.add_typer(dead_commands, name="dead")


def main() -> None:
    """The console script."""
    with standard_streams():
        app()


def _configure() -> Settings:
    try:
        settings = load_settings()
    except ValueError as exc:
        leave(USAGE, str(exc))
    configure_logging(settings.log_level, settings.log_format)
    log_uncaught()
    ensure_temporary_folder(settings.data_dir)
    raise_file_limit()
    return settings


if __name__ == "__main__":
    main()
