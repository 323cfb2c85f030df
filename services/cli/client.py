"""Talks to a gateway over HTTP, like any client: submits a job and saves its artifacts, lists jobs, cancels one."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx2
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from services.cli.gateway_access import (
    RETRY_SECONDS,
    GatewayAccess,
    Refused,
    Unreachable,
    ask,
    get_with_retries,
    open_client,
)

JobJson = dict[str, Any]


async def submit(
    gateway: GatewayAccess, body: Mapping[str, Any], output: Path, image_format: str | None, console: Console
) -> tuple[JobJson, list[Path]]:
    """Submit, wait, save the artifacts of a succeeded job; return the job and the files written.

    Images are saved in `image_format`; None keeps the stored format. Raises Refused, Unreachable.
    """
    async with open_client(gateway) as client:
        job = await _accepted(client, body)
        try:
            job = await _followed(client, job, console)
            return job, await _save(client, job, output, image_format)
        except httpx2.TransportError as exc:
            raise Unreachable(f"job {job['id']} was accepted, but {gateway.url} does not answer: {exc}") from exc
        except Unreachable as exc:
            raise Unreachable(f"job {job['id']} was accepted, but {exc}") from exc
        except Refused as exc:
            raise Refused({"detail": f"job {job['id']} was accepted, but: {exc}"}, unavailable=exc.unavailable) from exc


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
    except httpx2.TransportError:
        # The job may have been accepted all the same: its key keeps it from being made twice.
        await asyncio.sleep(RETRY_SECONDS)
        response = await ask(client, "POST", "/v1/jobs", json=dict(body), headers=headers)
    job: JobJson = response.json()
    return job


async def _followed(client: httpx2.AsyncClient, job: JobJson, console: Console) -> JobJson:
    """Poll until the job is over, and return it. The job's links may lead to a public address: see `_path`."""
    with _progress(console) as show:
        while job["state"] in ("queued", "running"):
            show(job)
            # The gateway holds the answer until the job is over, but no longer than a progress bar should stand still.
            job = (await get_with_retries(client, _path(job["id"]), headers={"Prefer": "wait=1"})).json()
        show(job)
    return job


async def _save(client: httpx2.AsyncClient, job: JobJson, output: Path, image_format: str | None) -> list[Path]:
    paths = []
    for artifact in job["artifacts"]:
        wanted = {"format": image_format} if image_format and artifact["media_type"].startswith("image/") else {}
        response = await get_with_retries(client, f"{_path(job['id'])}/artifacts/{artifact['index']}", params=wanted)
        path = output
        if len(job["artifacts"]) > 1:
            path = output.with_stem(f"{output.stem}-{artifact['index'] + 1}")
        await asyncio.to_thread(path.write_bytes, response.content)
        paths.append(path)
    return paths


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
