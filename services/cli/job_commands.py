"""The `studio` commands that talk to a gateway: make a photo, list jobs, cancel one."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from services.cli.exits import FAILED, errors, leave, run
from services.cli.image_options import OutputFormat, destination, sides_of
from services.cli.options import AsJson, ModelName, chosen_model
from services.cli.tables import job_table
from services.common.logging import configure_logging

job_commands = typer.Typer()


@job_commands.command()
def jobs(
    context: typer.Context,
    *,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Most jobs to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs.

    Lists jobs made with the key in STUDIO_API_KEY; on a gateway without keys, those submitted by programs.

    Exit codes: 0 done, 3 no gateway answers.
    """
    from services.cli.client import list_jobs
    from services.cli.gateway_access import GatewayAccess

    settings, _ = context.obj
    found = run(list_jobs(GatewayAccess.of(settings), limit))
    if as_json:
        print(json.dumps(found, indent=2))
    else:
        Console().print(job_table(found))


@job_commands.command()
def cancel(context: typer.Context, job_id: Annotated[str, typer.Argument(help="The job's id.")]) -> None:
    """Cancel a job and print its state.

    A waiting job is canceled at once, a running one at its next step.

    Exit codes: 0 done, 2 there is no such job or it is over, 3 no gateway answers.
    """
    from services.cli.client import cancel_job
    from services.cli.gateway_access import GatewayAccess

    settings, _ = context.obj
    print(run(cancel_job(GatewayAccess.of(settings), job_id))["state"])


@job_commands.command()
def generate(
    context: typer.Context,
    prompt: Annotated[str, typer.Argument(help="The product to photograph.")],
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File of the photo; default: photo.png.")
    ] = None,
    output_format: Annotated[
        OutputFormat | None, typer.Option(help="Format of the file; default: by its suffix.")
    ] = None,
    model: ModelName = None,
    style: Annotated[str | None, typer.Option(help="A studio look; see /v1/styles.")] = None,
    negative_prompt: Annotated[str | None, typer.Option("--negative", help="What the photo must not show.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the model; more take longer.")] = None,
    guidance: Annotated[float | None, typer.Option(help="How closely the photo follows the prompt.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed makes the same photo again.")] = None,
    count: Annotated[int | None, typer.Option(help="Number of photos, 1 to 4.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the job as JSON, with the files written.")] = False,
) -> None:
    """Make a photo and print the file's path.

    Uses the running gateway, or starts one on this machine for this photo.

    Exit codes: 0 done, 1 the job failed, 2 wrong usage, 3 no gateway accepted the job or reported its end.
    """
    from services.cli.generate import run_generate

    saving = destination(output, output_format)
    settings, catalogue = context.obj
    configure_logging("warning", settings.log_format)  # the output is the photo
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
    job, paths = run(run_generate(settings, catalogue, chosen_model(settings, catalogue, model), given, saving, errors))
    if as_json:
        print(json.dumps({**job, "files": [str(path) for path in paths]}, indent=2))
    elif paths:
        print(*paths, sep="\n")
    if job["state"] != "succeeded":
        error = job["error"] or {"message": f"the job was {job['state']}"}
        leave(FAILED, error["message"])
