"""The `studio` commands that talk to a gateway: make a photo, fetch one, list jobs, cancel one."""

import json
import os
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from services.cli.exits import FAILED, USAGE, errors, leave, run
from services.cli.image_options import sides_of
from services.cli.options import AsJson, ModelName, chosen_model
from services.cli.output_format import Destination, OutputFormat, destination
from services.cli.photo_files import PhotoFiles
from services.cli.tables import job_table, plain, print_table
from services.common.modalities.modality import Media
from services.common.telemetry.logging import configure_logging

job_commands = typer.Typer()
MOST_TRIED: Final = 16  # files; the gateway refuses as many photos, in its own words

Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="File to write, or - for standard output; default: photo.png, speech.wav or transcript.txt.",
    ),
]
Format = Annotated[OutputFormat | None, typer.Option(help="Format of the file; default: by its suffix.")]
Force = Annotated[bool, typer.Option("--force", help="Write over a file of that name, not beside it.")]
WithFiles = Annotated[bool, typer.Option("--json", help="Print the job as JSON, with the files written.")]


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
        print_table(job_table(found))


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
    prompt: Annotated[
        str | None, typer.Argument(help="The product to photograph, or the text to say.", show_default=False)
    ] = None,
    *,
    output: Output = None,
    output_format: Format = None,
    force: Force = False,
    model: ModelName = None,
    image: Annotated[Path | None, typer.Option(metavar="FILE", help="A picture to begin with.")] = None,
    audio: Annotated[Path | None, typer.Option(metavar="FILE", help="A recording to write down.")] = None,
    style: Annotated[str | None, typer.Option(help="A studio look; see /v1/styles.")] = None,
    negative_prompt: Annotated[str | None, typer.Option("--negative", help="What the photo must not show.")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels.")] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the model; more take longer.")] = None,
    guidance: Annotated[float | None, typer.Option(help="How closely the photo follows the prompt.")] = None,
    seed: Annotated[int | None, typer.Option(help="The same seed makes the same photo again.")] = None,
    count: Annotated[int | None, typer.Option(help="Number of photos, 1 to 4.")] = None,
    voice: Annotated[str | None, typer.Option(help="Whose voice says the text.")] = None,
    speed: Annotated[float | None, typer.Option(help="Pace of the voice; 1 is a natural one.")] = None,
    language: Annotated[str | None, typer.Option(help="Of the recording, such as en; default: found out.")] = None,
    as_json: WithFiles = False,
) -> None:
    """Make a photo, have a text said or a recording written down, and print the file's path.

    Uses the running gateway, or starts one on this machine for this job. A file that exists stays: the new one goes
    beside it, under a name with a number.

    Exit codes: 0 done, 1 the job failed or its file could not be written, 2 wrong usage, 3 no gateway accepted the job
    or reported its end.
    """
    from services.cli.generate import run_generate

    settings, catalogue = context.obj
    chosen = chosen_model(settings, catalogue, model)
    choose = partial(destination, output, output_format, force=force)
    saving = _saving(choose, chosen.contract.makes, as_json=as_json)
    _check(saving[0], min(max(count or chosen.contract.count(chosen.defaults), 1), MOST_TRIED))
    subject = chosen.contract.subject
    if (prompt is None) is not (subject is None):
        needs = "takes no words" if subject is None else f"needs words: `studio generate --model {chosen.name} WORDS`"
        leave(USAGE, f"{chosen.name} {needs}")
    configure_logging("warning", settings.log_format)  # the output is the file
    body = {
        "model": model,
        **({subject: prompt} if subject else {}),
        "image": image,
        "audio": audio,
        "style": style,
        "negative_prompt": negative_prompt,
        **sides_of(size),
        "steps": steps,
        "guidance": guidance,
        "seed": seed,
        "num_images": count,
        "voice": voice,
        "speed": speed,
        "language": language,
    }
    given = {name: value for name, value in body.items() if value is not None}
    job, paths = run(run_generate(settings, catalogue, chosen, given, saving, errors))
    _report(job, paths, as_json=as_json)


@job_commands.command()
def fetch(
    context: typer.Context,
    job_id: Annotated[str, typer.Argument(help="The job's id.")],
    *,
    output: Output = None,
    output_format: Format = None,
    force: Force = False,
    as_json: WithFiles = False,
) -> None:
    """Save the files of a job submitted before and print their paths.

    Waits for a job that is not over. Uses the running gateway, or starts one on this machine, which makes no job.

    Exit codes: 0 done, 1 the job failed or its file could not be written, 2 wrong usage or no such job, 3 no gateway
    answers.
    """
    from services.cli.generate import run_fetch

    choose = partial(destination, output, output_format, force=force)
    files, _ = _saving(choose, None, as_json=as_json)
    if output is not None:
        _check(files, 1)
    settings, catalogue = context.obj
    configure_logging("warning", settings.log_format)  # the output is the file
    model = chosen_model(settings, catalogue, None)
    job, paths = run(run_fetch(settings, catalogue, model, job_id, choose, errors))
    _report(job, paths, as_json=as_json)


def _saving(choose: Destination, media: Media | None, *, as_json: bool) -> tuple[PhotoFiles, OutputFormat | None]:
    """Return the files and their format. Ends the command for names and formats that are none of what is made."""
    try:
        files, form = choose(media=media)
    except ValueError as exc:
        leave(USAGE, plain(str(exc)))
    if files.path is None and as_json:
        leave(USAGE, "-o - and --json both write to standard output: name a file with -o, or leave out --json")
    return files, form


def _check(files: PhotoFiles, count: int) -> None:
    """End the command unless so many photos can be written."""
    try:
        files.check(count)
    except ValueError as exc:
        leave(USAGE, str(exc))


def _report(job: dict[str, Any], paths: list[Path], *, as_json: bool) -> None:
    """Print the job or its files, and what was lost. Ends the command for a job that has not succeeded."""
    if as_json:
        print(json.dumps({**job, "files": [str(path) for path in paths]}, indent=2))
    else:
        for path in paths:
            typer.echo(os.fsencode(path))  # the name as the system has it, in any locale
    for warning in job.get("warnings", ()):  # a gateway of an older version has none
        text = plain(f"warning: {warning['message']} ({warning['code']})")
        errors.print(text, style="yellow", markup=False, highlight=False, soft_wrap=True)
    if job["state"] != "succeeded":
        error = job["error"] or {"message": f"the job was {job['state']}"}
        leave(FAILED, error["message"])
