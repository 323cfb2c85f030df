"""The `studio` commands for on-call. They ask the backends, so they work when no gateway does."""

import json
import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.exits import FAILED, USAGE, errors, leave, run
from services.cli.options import AsJson

if TYPE_CHECKING:
    from services.cli.erase import Erased

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
        print_job_report(report)
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
    """Erase an owner's jobs, their results and the files sent in for good.

    Live jobs are canceled; records, Idempotency-Keys, previews, artifacts, manifests, inputs and dead letters are
    deleted.
    The command reads every job in the object store, so it may take a while. Repeat it if it fails or says so.

    Exit codes: 0 done, 1 no such owner, or something could not be erased, 2 wrong usage, 3 a backend does not answer.
    """
    from services.cli.erase import run_erase

    if not owner.strip():
        leave(USAGE, "name an owner: without a name, all jobs of programs would be erased")
    settings, catalogue = context.obj
    with errors.status("erasing") as status:
        erased = run(run_erase(settings, catalogue, owner, status.update))
    if as_json:
        print(json.dumps(erased.summary(), indent=2))
    else:
        _print_erased(erased)
    if erased.owner_unknown:
        leave(FAILED, _no_such_owner(erased))
    if erased.failed:
        leave(
            FAILED,
            f"{len(erased.failed)} jobs or files were not erased, the log says why: {', '.join(sorted(erased.failed))}",
        )


def _print_erased(erased: "Erased") -> None:
    if not erased.owner_unknown:
        print(f"erased {len(erased.jobs)} jobs of {erased.owner}, {len(erased.live)} of them waiting or running")
    if erased.inputs:
        print(f"deleted {len(erased.inputs)} files that they sent in")
    if erased.dead_letters:
        print(f"dropped {erased.dead_letters} dead letters")
    if erased.live:
        print("messages of waiting jobs stay in their queues until a worker drops them")
    if erased.unknown:
        print(
            f"{erased.unknown} jobs have no known owner: the status store lost them, their manifests are damaged, or a "
            "newer version of the program ended them. Repeat this when the queues are empty, with that version"
        )


def _no_such_owner(erased: "Erased") -> str:
    start = f"nothing was erased: no job is of an owner called {erased.owner}"
    if alike := erased.alike:
        again = f"studio erase --owner {shlex.quote(alike[0])}"
        return f"{start}. Owners with names like it: {', '.join(alike)}. Give the whole name: {again}"
    return f"{start}. `studio job ID` names the owner of a job"
