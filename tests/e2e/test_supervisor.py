"""The supervisor of `studio` waits until its parts are ready."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from services.cli.serve import supervisor
from services.cli.serve.studio import Studio
from services.cli.serve.supervisor import Supervisor
from services.common.settings import Settings
from tests.support.fakes import CannedServer

pytestmark = pytest.mark.anyio


def _answer(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


async def test_answers_of_other_servers_are_not_ready() -> None:
    """Answers that do not come from a worker of this program do not end the wait for the worker."""
    supervising, phases = Supervisor(Settings()), list[str]()
    ready = b'{"service": "studio-worker", "ready": true, "phase": "serving"}'
    foreign = (b'{"phase": "serving"}', b'{"service": "studio-gateway", "phase": "serving"}')
    bodies = (b"<html>", b"[]", b"{}", b"1", *foreign, ready)
    async with CannedServer([_answer(body) for body in bodies]).serving(supervising._port):
        await asyncio.wait_for(supervising.wait_until_ready(phases.append), 10)
    assert phases == ["starting"] * 6


async def test_killed_worker_may_be_short_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that the system kills cannot say why: its supervisor names the likely reason and what to do."""
    program = "import os, sys; os.kill(os.getpid(), int(sys.argv[1]))"
    for number, told in ((signal.SIGKILL, True), (signal.SIGTERM, False)):
        monkeypatch.setattr(supervisor, "COMMAND", (sys.executable, "-c", program, str(int(number))))
        with capture_logs() as logs:
            running = asyncio.create_task(Supervisor(Settings()).run())
            while not logs:
                await asyncio.sleep(0.01)
            running.cancel()
            await asyncio.wait([running])
        assert logs[0]["exit_code"] == -number
        assert ("memory" in logs[0].get("reason", "")) is told


async def test_a_failed_wait_is_no_success() -> None:
    """A wait that fails raises its error although every part still runs."""
    part = asyncio.create_task(asyncio.sleep(60))
    goal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    goal.set_exception(LookupError("no phase"))
    with pytest.raises(LookupError, match="no phase"):
        await Studio("", [part]).until(goal)
    part.cancel()


async def test_next_worker_has_another_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker that left, perhaps since another program took its port, is followed by one on another port."""
    ports = tmp_path / "ports"
    left = f"echo $STUDIO_WORKER_PORT >>{ports}; [ $(wc -l <{ports}) -ge 3 ] || exit 2; exec cat"
    monkeypatch.setattr(supervisor, "COMMAND", ("sh", "-c", left))
    monkeypatch.setattr(supervisor, "BACKOFF_SECONDS", 0)
    workers = Supervisor(Settings())
    async with asyncio.timeout(10):
        running = asyncio.create_task(workers.run())
        while not ports.exists() or len(ports.read_text().split()) < 3:
            await asyncio.sleep(0.01)
        running.cancel()
        await asyncio.wait([running])
    assert len({*ports.read_text().split()}) > 1
