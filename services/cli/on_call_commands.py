"""The `studio` commands for on-call. They ask the backends, so they work when no gateway does."""

import json
from typing import Annotated

import typer
from rich.console import Console

from services.cli.exits import USAGE, errors, leave, run
from services.cli.options import AsJson

on_call_commands = typer.Typer()


@on_call_commands.command()
def job(
    context: typer.Context, job_id: Annotated[str, typer.Argument(help="The job's id.")], *, as_json: AsJson = False
) -> None:
    """Show a job: its owner, its timeline and its result.

    Reads the backends that the settings name; no gateway is needed.

    Exit codes: 0 done, 2 there is no such job, 3 a backend does not answer.
    """
    from services.cli.job_report import print_job_report, read_job_report

    settings, _ = context.obj
    report = run(read_job_report(settings, job_id))
    if as_json:
        print(json.dumps(report.as_json(), indent=2))
    else:
        print_job_report(report, Console())
    if not report.found:
        leave(
            USAGE,
            f"there is no job {job_id[:80]} in the status store or among the manifests; `studio jobs` lists the newest",
        )


@on_call_commands.command()
def erase(
    context: typer.Context,
    *,
    owner: Annotated[str, typer.Option(help="The owner; `studio job` names the owner of a job.")],
    as_json: AsJson = False,
) -> None:
    """Erase an owner's jobs and their results for good.

    Live jobs are canceled; records, Idempotency-Keys, previews, artifacts, manifests and dead letters are deleted.
    The command reads every job in the object store, so it may take a while. Repeat it if it fails or says so.

    Exit codes: 0 done, 2 wrong usage, 3 a backend does not answer.
    """
    from services.cli.erase import run_erase

    if not owner.strip():
        leave(USAGE, "name an owner: without a name, all jobs of programs would be erased")
    settings, catalogue = context.obj
    with errors.status("erasing") as status:
        erased = run(run_erase(settings, catalogue, owner, status.update))
    if as_json:
        print(json.dumps(erased.summary(), indent=2))
        return
    print(f"erased {len(erased.jobs)} jobs of {owner}, {len(erased.live)} of them waiting or running")
    if erased.dead_letters:
        print(f"dropped {erased.dead_letters} dead letters")
    if erased.live:
        print("messages of waiting jobs stay in their queues until a worker drops them")
    if erased.unknown:
        print(
            f"{erased.unknown} jobs have no known owner: the status store lost them, or a newer version of the program "
            "ended them. Repeat this when the queues are empty, with that version"
        )
