"""`studio generate` repeats requests when its gateway breaks a connection or does not answer for a while."""

import json
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from services.cli import client, gateway_access
from services.cli.client import submit
from services.cli.gateway_access import GatewayAccess
from services.cli.gateway_answers import Refused, Unreachable
from services.cli.photo_files import PhotoFiles
from tests.support.fakes import CannedGateway

pytestmark = pytest.mark.anyio

Answer = tuple[int, dict[str, Any]]

JOB: dict[str, Any] = {"id": "a-job", "progress": None, "artifacts": [], "links": {"self": "/v1/jobs/a-job"}}
QUEUED = {**JOB, "state": "queued"}
BROKEN = (0, QUEUED)
ACCEPTED, OVER = (202, QUEUED), (200, {**JOB, "state": "failed"})
REBUILDING, REMOVED = (503, {"title": "Status rebuilding"}), (410, {"title": "Removed"})


def _gateway(*answers: Answer) -> CannedGateway:
    return CannedGateway([_encode(*answer) for answer in answers])


def _encode(status: int, content: dict[str, Any]) -> bytes:
    """Return the response; empty, so that the connection breaks, for the status 0."""
    if not status:
        return b""
    kind, body = "application/json" if status < 400 else "application/problem+json", json.dumps(content)
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\nConnection: close"
    return f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(gateway_access, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(gateway_access, "RETRY_FOR_SECONDS", 0.5)


async def _submit(gateway: CannedGateway) -> dict[str, Any]:
    async with gateway.serving() as url:
        files, console = PhotoFiles(Path("cup.png")), Console(stderr=True)
        job, _ = await submit(GatewayAccess(url), {"prompt": "red cup"}, files, None, console)
        return job


def _keys(gateway: CannedGateway) -> list[str]:
    lines = [line for request in gateway.requests for line in request.splitlines()]
    return [line for line in lines if line.lower().startswith("idempotency-key")]


async def test_a_broken_submit_is_repeated_with_its_key() -> None:
    """A submit whose connection breaks is repeated once, with the same key."""
    gateway = _gateway(BROKEN, ACCEPTED, OVER)
    assert (await _submit(gateway))["state"] == "failed"
    first, second = _keys(gateway)
    assert first == second


async def test_a_submit_is_repeated_once() -> None:
    """A gateway that breaks the connection twice is reported as one that does not answer."""
    gateway = _gateway(BROKEN)
    with pytest.raises(Unreachable, match="no gateway answers"):
        await _submit(gateway)
    assert len(gateway.requests) == 2


async def test_polls_that_fail_are_repeated() -> None:
    """An accepted job is polled again after a broken connection and after a 503."""
    gateway = _gateway(ACCEPTED, BROKEN, REBUILDING, BROKEN, OVER)
    assert (await _submit(gateway))["state"] == "failed"
    assert len(gateway.requests) == 5


@pytest.mark.parametrize(("last", "error"), [(BROKEN, Unreachable), (REBUILDING, Refused)])
async def test_the_job_is_named_when_retries_end(last: Answer, error: type[Exception]) -> None:
    """The error names the accepted job when the retries end."""
    with pytest.raises(error, match="a-job"):
        await _submit(_gateway(ACCEPTED, last))


async def test_a_removed_job_is_not_waited_for() -> None:
    """A removed job is reported at once, since a retry would not help."""
    gateway = _gateway(ACCEPTED, REMOVED)
    with pytest.raises(Refused, match=r"a-job.*Removed"):
        await _submit(gateway)
    assert len(gateway.requests) == 2
