"""Talks to a gateway over HTTP, like any client: submits a job, saves the artifacts of one, lists jobs, cancels one."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

import httpx2
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from services.api.core.formats.file_format import FORMATS
from services.cli.gateway_access import GatewayAccess, ask, get_with_retries, open_client, silence
from services.cli.gateway_answers import RETRY_SECONDS, Refused, Unreachable
from services.cli.input_files import with_files_sent
from services.cli.output_format import Destination, OutputFormat, media_of
from services.cli.photo_files import NotWritten, PhotoFiles

JobJson = dict[str, Any]
LIVE: Final = ("queued", "running")


async def submit(
    gateway: GatewayAccess, body: Mapping[str, Any], files: PhotoFiles, form: OutputFormat | None, console: Console
) -> tuple[JobJson, list[Path]]:
    """Submit, wait, save the artifacts of a succeeded job; return the job and the files written.

    Files that the body names by their path are sent in first. Artifacts are saved in the format `form`; None keeps the
    stored one. Raises Refused, Unreachable, NotWritten, and OSError for a file that cannot be read.
    """
    async with open_client(gateway) as client:
        job = await _accepted(client, await with_files_sent(client, body))
        later = f"; `studio fetch {job['id']}` saves it later"
        try:
            job = await _followed(client, job, console)
            return job, await _save(client, job, files, form, console)
        except httpx2.RequestError as exc:
            raise Unreachable(f"job {job['id']} was accepted, but {silence(gateway.url, exc)}{later}") from exc
        except Unreachable as exc:
            raise Unreachable(f"job {job['id']} was accepted, but {exc}{later}") from exc
        except Refused as exc:
            detail = f"job {job['id']} was accepted, but: {exc}{later if exc.unavailable else ''}"
            raise Refused({"detail": detail}, unavailable=exc.unavailable) from exc
        except asyncio.CancelledError:  # by Ctrl-C, or because the gateway started for it ended
            console.print(f"job {job['id']} was accepted{later}", markup=False, highlight=False, soft_wrap=True)
            raise


async def fetch(
    gateway: GatewayAccess,
    job_id: str,
    choose: Destination,
    console: Console,
    *,
    wait: bool = True,
) -> tuple[JobJson, list[Path]]:
    """Save the artifacts of a job submitted before; return as `submit`, once the job is over.

    `choose` returns the files and their format by what the job makes. Raises as `submit`, and ValueError if its files
    cannot be written, or without `wait` if it is not over.
    """
    async with open_client(gateway) as client:
        job: JobJson = (await ask(client, "GET", _path(job_id))).json()
        files, form = choose(media=media_of(job))
        await asyncio.to_thread(files.check, _count(job))
        if job["state"] in LIVE and not wait:
            raise ValueError(f"job {job_id} is {job['state']}, and no gateway is running: start one with `studio`")
        job = await _followed(client, job, console)
        return job, await _save(client, job, files, form, console)


async def list_jobs(gateway: GatewayAccess, limit: int) -> list[JobJson]:
    """Return the newest jobs made with this key; on a gateway without keys, those submitted without a browser.

    Raises Refused, Unreachable.
    """
    async with open_client(gateway) as client:
        jobs: list[JobJson] = (await ask(client, "GET", "/v1/jobs", params={"limit": limit})).json()["data"]
        return jobs


async def cancel_job(gateway: GatewayAccess, job_id: str) -> JobJson:
    """Cancel the job and return it, canceled or about to be. Raises Refused, Unreachable."""
    async with open_client(gateway) as client:
        job: JobJson = (await ask(client, "POST", f"{_path(job_id)}/cancel")).json()
        return job


async def _accepted(client: httpx2.AsyncClient, body: Mapping[str, Any]) -> JobJson:
    headers = {"Idempotency-Key": f'"{uuid4()}"'}
    try:
        response = await ask(client, "POST", "/v1/jobs", json=dict(body), headers=headers)
    except httpx2.RequestError:
        # The job may have been accepted all the same: its key keeps it from being made twice.
        await asyncio.sleep(RETRY_SECONDS)
        response = await ask(client, "POST", "/v1/jobs", json=dict(body), headers=headers)
    job: JobJson = response.json()
    return job


async def _followed(client: httpx2.AsyncClient, job: JobJson, console: Console) -> JobJson:
    """Poll until the job is over, and return it. The job's links may lead to a public address: see `_path`."""
    with _progress(console) as show:
        while job["state"] in LIVE:
            show(job)
            # The gateway holds the answer until the job is over, but no longer than a progress bar should stand still.
            job = (await get_with_retries(client, _path(job["id"]), headers={"Prefer": "wait=1"})).json()
        show(job)
    return job


async def _save(
    client: httpx2.AsyncClient, job: JobJson, files: PhotoFiles, form: OutputFormat | None, console: Console
) -> list[Path]:
    def tell(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    photos: dict[int, bytes] = {}
    for artifact in job["artifacts"]:
        media_type: str = artifact["media_type"]
        wanted: dict[str, str] = {}
        if form and any(each.media_type == media_type for each in FORMATS.values()):
            wanted, media_type = {"format": form}, FORMATS[form].media_type
        path = f"{_path(job['id'])}/artifacts/{artifact['index']}"
        response = await get_with_retries(client, path, media_type=media_type, params=wanted)
        photos[artifact["index"]] = response.content
    if not photos:
        return []
    try:
        return await asyncio.to_thread(files.write, photos, _count(job), tell)
    except NotWritten as exc:
        kept = f"the photo is kept: `studio fetch {job['id']} -o FILE` saves it elsewhere"
        raise NotWritten(f"job {job['id']} has succeeded, but {exc}; {kept}") from exc


def _count(job: JobJson) -> int:
    """Return how many photos were asked for; a filtered one leaves its number to none of the others."""
    asked = job["params"].get("num_images", 1)
    return int(max(asked, *(artifact["index"] + 1 for artifact in job["artifacts"]), 1))


def _path(job_id: str) -> str:
    """Return the job's path below the gateway's URL. Only that URL is known to lead there, and may get the key."""
    return f"/v1/jobs/{quote(job_id, safe='')}"


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[JobJson], None]]:
    """Yield a function that shows a representation of the job in a bar. Silent unless on a terminal."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("queued", total=None)

        def show(job: JobJson) -> None:
            now = job["progress"] or {}
            phase = now.get("phase") or job["state"]
            bar.update(task, description=phase, completed=now.get("step") or 0, total=now.get("total") or None)

        yield show
