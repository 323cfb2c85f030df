"""The `studio` command: the only place that reads the environment and wires things together."""

import json
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console

from services.cli.health import NotReady, Service, ask_health
from services.cli.output_format import OutputFormat, destination
from services.cli.picture_size import sides_of
from services.cli.tables import job_table, model_table
from services.common.catalogue import Catalogue, Model, load_catalogue
from services.common.logging import configure_logging
from services.common.settings import Settings, load_settings

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, help="Put a generative model into production.")
errors = Console(stderr=True)

T = TypeVar("T")
FAILED, USAGE, UNREACHABLE = 1, 2, 3

AsJson = Annotated[bool, typer.Option("--json", help="As JSON, for programs.")]
ModelName = Annotated[str | None, typer.Option("--model", help="A model of the catalogue; default: the one marked so.")]


@app.callback(invoke_without_command=True)
def studio(context: typer.Context, *, model: ModelName = None) -> None:
    """Run gateway and worker on this machine; with a command, run only that."""
    settings, catalogue = _configure()
    context.obj = (settings, catalogue)
    if context.invoked_subcommand is None:
        from services.cli.studio import run_studio

        _run(run_studio(settings, catalogue, _model(settings, catalogue, model), errors))


@app.command()
def api(context: typer.Context) -> None:
    """Run only the gateway."""
    from services.cli.gateway import run_gateway

    settings, catalogue = context.obj
    _model(settings, catalogue, None)
    _run(run_gateway(settings, catalogue))


@app.command()
def worker(
    context: typer.Context,
    *,
    model: ModelName = None,
    attended: Annotated[bool, typer.Option(help="Stop when standard input closes.", hidden=True)] = False,
) -> None:
    """Run only a worker, for one model."""
    from services.cli.worker import run_worker

    settings, catalogue = context.obj
    raise typer.Exit(_run(run_worker(settings, catalogue, _model(settings, catalogue, model), attended=attended)))


@app.command()
def health(
    context: typer.Context, service: Annotated[Service, typer.Argument(help="Which of the two to ask.")]
) -> None:
    """Exit with 0 if the gateway or worker on this machine is ready, else with 1."""
    settings, _ = context.obj
    try:
        _run(ask_health(settings, service))
    except NotReady as exc:
        _exit(FAILED, str(exc))


@app.command()
def models(context: typer.Context, *, as_json: AsJson = False) -> None:
    """List the models on offer."""
    _, catalogue = context.obj
    if as_json:
        print(json.dumps([model.model_dump(mode="json") for model in catalogue.models.values()], indent=2))
    else:
        Console().print(model_table(catalogue.models.values()))


@app.command()
def jobs(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=100, help="At most so many.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs.

    Those of the running gateway that were submitted by programs, not by the page.

    Exit codes: 0 done, 3 no gateway answers.
    """
    from services.cli.client import gateway_url, list_jobs

    settings, _ = context.obj
    found = _run(list_jobs(gateway_url(settings), limit))
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console().print(job_table(found))


@app.command()
def cancel(context: typer.Context, job_id: Annotated[str, typer.Argument(help="The job's id.")]) -> None:
    """Cancel a job and print its state.

    One that waits is canceled at once, one that runs at its next step.

    Exit codes: 0 done, 2 there is no such job or it is over, 3 no gateway answers.
    """
    from services.cli.client import cancel_job, gateway_url

    settings, _ = context.obj
    print(_run(cancel_job(gateway_url(settings), job_id))["state"])


@app.command()
def generate(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="The product to photograph.")],
    *,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Where the photo goes; else photo.png.")] = None,
    output_format: Annotated[OutputFormat | None, typer.Option(help="Of the file; else what its suffix says.")] = None,
    model: ModelName = None,
    style: Annotated[str | None, typer.Option(help="A studio look; see /v1/styles.")] = None,
    negative_prompt: Annotated[str | None, typer.Option("--negative", help="What not to draw.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the model; more take longer.")] = None,
    guidance: Annotated[float | None, typer.Option(help="How closely the photo keeps to the words.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed makes the same photo again.")] = None,
    count: Annotated[int | None, typer.Option(help="How many pictures, 1 to 4.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the job as JSON, with the files written.")] = False,
) -> None:
    """Make a photo and print the file's path.

    On the running gateway, or without one on this machine.

    Exit codes: 0 done, 1 the job failed, 2 wrong usage, 3 no gateway could take it.
    """
    from services.cli.generate import run_generate

    saving = destination(output, output_format)
    settings, catalogue = context.obj
    configure_logging("warning", settings.log_format)  # the photo is the output, not how it came about
    body = {
        "model": model,
        "prompt": prompt,
        "style": style,
        "negative_prompt": negative_prompt,
        **sides_of(size),
        "steps": steps,
        "guidance": guidance,
        "seed": seed,
        "num_images": count,
    }
    given = {name: value for name, value in body.items() if value is not None}
    job, paths = _run(run_generate(settings, catalogue, _model(settings, catalogue, model), given, saving, errors))
    if as_json:
        print(json.dumps({**job, "files": [str(path) for path in paths]}, indent=2))
    elif paths:
        print(*paths, sep="\n")
    if job["state"] != "succeeded":
        error = job["error"] or {"message": f"the job was {job['state']}"}
        _exit(FAILED, error["message"])


def main() -> None:
    """The console script."""
    app()


def _configure() -> tuple[Settings, Catalogue]:
    try:
        settings = load_settings()
        catalogue = load_catalogue(settings.catalogue, settings.styles)
    except ValueError as exc:
        _exit(USAGE, str(exc))
    configure_logging(settings.log_level, settings.log_format)
    return settings, catalogue


def _model(settings: Settings, catalogue: Catalogue, name: str | None) -> Model:
    wanted = name or settings.model or catalogue.default_model.name
    if wanted not in catalogue.models:
        _exit(USAGE, f"no model {wanted!r} in {settings.catalogue}; there are {', '.join(sorted(catalogue.models))}")
    return catalogue.models[wanted]


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run on uvloop, and turn what went wrong into a sentence and an exit code."""
    from services.cli.client import Refused, Unreachable
    from services.cli.supervisor import WorkerUnusable
    from services.common.errors import BackendUnavailable

    try:
        return uvloop.run(work)
    except Refused as exc:
        _exit(UNREACHABLE if exc.unavailable else USAGE, str(exc))
    except (Unreachable, BackendUnavailable, WorkerUnusable) as exc:
        _exit(UNREACHABLE, str(exc))
    except (ValueError, OSError) as exc:
        _exit(USAGE, str(exc))


def _exit(code: int, message: str) -> NoReturn:
    errors.print(message, style="red", markup=False, highlight=False)
    raise typer.Exit(code)


if __name__ == "__main__":
    main()
