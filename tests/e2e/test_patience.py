"""What `studio generate` does when its gateway breaks off or has no answer for a while."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from services.cli import client, gateway_access
from services.cli.client import submit
from services.cli.gateway_access import GatewayAccess, Refused, Unreachable

pytestmark = pytest.mark.anyio

Answer = tuple[int, dict[str, Any]]

JOB: dict[str, Any] = {"id": "a-job", "progress": None, "artifacts": [], "links": {"self": "/v1/jobs/a-job"}}
QUEUED = {**JOB, "state": "queued"}
BROKEN = (0, QUEUED)
ACCEPTED, OVER = (202, QUEUED), (200, {**JOB, "state": "failed"})
REBUILDING, REMOVED = (503, {"title": "Status rebuilding"}), (410, {"title": "Removed"})


class FakeGateway:
    """Gives one answer a connection, the last again and again; a status of 0 breaks it off. Keeps the requests."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        self._answers = list(answers)
        self.requests: list[str] = []

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[GatewayAccess]:
        async with await asyncio.start_server(self._answer, "127.0.0.1", 0) as server:
            yield GatewayAccess(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append((await reader.readuntil(b"\r\n\r\n")).decode())
        status, content = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if status:
            kind, body = "application/json" if status < 400 else "application/problem+json", json.dumps(content)
            head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: {kind}\r\nConnection: close"
            writer.write(f"{head}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            await writer.drain()
        writer.close()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(gateway_access, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(gateway_access, "RETRY_FOR_SECONDS", 0.5)


async def _submit(gateway: FakeGateway) -> dict[str, Any]:
    async with gateway.serving() as access:
        job, _ = await submit(access, {"prompt": "red cup"}, Path("cup.png"), None, Console(stderr=True))
        return job


def _keys(gateway: FakeGateway) -> list[str]:
    lines = [line for request in gateway.requests for line in request.splitlines()]
    return [line for line in lines if line.lower().startswith("idempotency-key")]


async def test_a_broken_submit_is_repeated_with_its_key() -> None:
    """A connection that breaks while a job is submitted is tried once more, as the same job."""
    gateway = FakeGateway([BROKEN, ACCEPTED, OVER])
    assert (await _submit(gateway))["state"] == "failed"
    first, second = _keys(gateway)
    assert first == second


async def test_a_submit_is_repeated_once() -> None:
    """A gateway that breaks off again and again is told as one that does not answer."""
    gateway = FakeGateway([BROKEN])
    with pytest.raises(Unreachable, match="no gateway answers"):
        await _submit(gateway)
    assert len(gateway.requests) == 2


async def test_polls_that_fail_are_repeated() -> None:
    """An accepted job is asked for again after a broken connection and after a 503."""
    gateway = FakeGateway([ACCEPTED, BROKEN, REBUILDING, BROKEN, OVER])
    assert (await _submit(gateway))["state"] == "failed"
    assert len(gateway.requests) == 5


@pytest.mark.parametrize(("last", "error"), [(BROKEN, Unreachable), (REBUILDING, Refused)])
async def test_the_job_is_named_when_patience_ends(last: Answer, error: type[Exception]) -> None:
    """Whoever gives up waiting for an accepted job says which one it was."""
    with pytest.raises(error, match="a-job"):
        await _submit(FakeGateway([ACCEPTED, last]))


async def test_a_removed_job_is_not_waited_for() -> None:
    """What trying again does not change is told at once."""
    gateway = FakeGateway([ACCEPTED, REMOVED])
    with pytest.raises(Refused, match=r"a-job.*Removed"):
        await _submit(gateway)
    assert len(gateway.requests) == 2
