"""Talks to a gateway over HTTP, like everyone else does: submits a job and saves what comes of it, lists, cancels."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote
from uuid import uuid4

import httpx2
from pydantic import SecretStr
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from services.common.addresses import http_url, is_loopback
from services.common.settings import Settings

REQUEST_SECONDS = 10.0
JobJson = dict[str, Any]


class Unreachable(Exception):
    """No gateway answers; exit code 3."""


class Refused(Exception):
    """The gateway refused the request: `unavailable` when it may take it later (3), else a wrong request (2)."""

    def __init__(self, problem: Mapping[str, Any], *, unavailable: bool) -> None:
        faults = [
            f"{error['pointer'].strip('/') or 'request'}: {error['detail']}" for error in problem.get("errors", [])
        ]
        super().__init__("; ".join(faults) or str(problem.get("detail") or problem.get("title")))
        self.unavailable = unavailable


@dataclass(frozen=True)
class GatewayAccess:
    """Where commands look for a gateway, and the key they show it."""

    url: str
    key: SecretStr | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.url or http_url(settings.host, settings.port), settings.api_key)


async def is_running(url: str) -> bool:
    """Whether a gateway answers there."""
    try:
        async with httpx2.AsyncClient(base_url=url, timeout=2, trust_env=_leads_away(url)) as client:
            return (await client.get("/livez")).status_code == 200
    except httpx2.TransportError:
        return False


async def submit(
    gateway: GatewayAccess, body: Mapping[str, Any], output: Path, picture_format: str | None, console: Console
) -> tuple[JobJson, list[Path]]:
    """Submit, wait, save the artifacts of a succeeded job; return the job and the files written.

    Pictures are saved in `picture_format`, None for the one they are stored in. Raises Refused, Unreachable.
    """
    async with _client(gateway) as client:
        headers = {"Idempotency-Key": f'"{uuid4()}"'}
        response = await _request(client, "POST", "/v1/jobs", json=dict(body), headers=headers)
        job: JobJson = response.json()
        with _progress(console) as show:
            while job["state"] in ("queued", "running"):
                show(job)
                # Held by the gateway until the job is over, but never longer than a progress bar should stand still.
                response = await _request(client, "GET", job["links"]["self"], headers={"Prefer": "wait=1"})
                job = response.json()
            show(job)
        return job, await _save(client, job, output, picture_format)


async def list_jobs(gateway: GatewayAccess, limit: int) -> list[JobJson]:
    """The newest jobs made with this key; on a gateway without keys, those submitted without a browser.

    Raises Refused, Unreachable.
    """
    async with _client(gateway) as client:
        jobs: list[JobJson] = (await _request(client, "GET", "/v1/jobs", params={"limit": limit})).json()["data"]
        return jobs


async def cancel_job(gateway: GatewayAccess, job_id: str) -> JobJson:
    """The job, canceled or about to be. Raises Refused, Unreachable."""
    async with _client(gateway) as client:
        job: JobJson = (await _request(client, "POST", f"/v1/jobs/{quote(job_id, safe='')}/cancel")).json()
        return job


async def _save(client: httpx2.AsyncClient, job: JobJson, output: Path, picture_format: str | None) -> list[Path]:
    paths = []
    for artifact in job["artifacts"]:
        wanted = {"format": picture_format} if picture_format and artifact["media_type"].startswith("image/") else {}
        response = await _request(client, "GET", artifact["url"], params=wanted)
        path = output
        if len(job["artifacts"]) > 1:
            path = output.with_stem(f"{output.stem}-{artifact['index'] + 1}")
        await asyncio.to_thread(path.write_bytes, response.content)
        paths.append(path)
    return paths


@asynccontextmanager
async def _client(gateway: GatewayAccess) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"Authorization": f"Bearer {gateway.key.get_secret_value()}"} if gateway.key else {}
    try:
        async with httpx2.AsyncClient(
            base_url=gateway.url,
            headers=headers,
            timeout=REQUEST_SECONDS,
            follow_redirects=True,
            trust_env=_leads_away(gateway.url),
        ) as client:
            yield client
    except httpx2.TransportError as exc:
        raise Unreachable(f"no gateway answers at {gateway.url}: {exc}") from exc


def _leads_away(url: str) -> bool:
    """Whether a proxy of the environment may stand between: not on this machine."""
    return not is_loopback(httpx2.URL(url).host)


async def _request(client: httpx2.AsyncClient, method: str, path: str, **options: Any) -> httpx2.Response:
    response = await client.request(method, path, **options)
    if response.is_success:
        return response
    content_type = response.headers.get("Content-Type", "")
    problem = (
        response.json() if content_type.startswith("application/problem+json") else {"title": response.reason_phrase}
    )
    raise Refused(problem, unavailable=response.status_code >= 500 or response.status_code == 429)


@contextmanager
def _progress(console: Console) -> Iterator[Callable[[JobJson], None]]:
    """A bar that follows the job, called with each new representation of it. Silent unless on a terminal."""
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
