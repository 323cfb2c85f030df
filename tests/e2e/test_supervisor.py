"""How `studio` waits for its parts to be ready."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from services.cli.studio import Studio
from services.cli.supervisor import Supervisor
from services.common.settings import Settings

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def _answering(port: int, answers: Sequence[bytes]) -> AsyncIterator[None]:
    """One answer a connection, the last one again and again."""
    left = list(answers)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = left.pop(0) if len(left) > 1 else left[0]
        head = f"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", port):
        yield


async def test_what_is_no_worker_is_not_ready() -> None:
    """Answers that no worker gives, with whatever status, do not end the wait for it."""
    supervisor, phases = Supervisor(Settings()), list[str]()
    async with _answering(supervisor._port, [b"<html>", b"[]", b"{}", b"1", b'{"phase": "serving"}']):
        await asyncio.wait_for(supervisor.wait_until_ready(phases.append), 10)
    assert phases == ["starting"] * 4


async def test_a_failed_wait_is_no_success() -> None:
    """What is waited for may itself fail: that is raised, though every part still runs."""
    part = asyncio.create_task(asyncio.sleep(60))
    goal: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    goal.set_exception(LookupError("no phase"))
    with pytest.raises(LookupError, match="no phase"):
        await Studio("", [part]).until(goal)
    part.cancel()
