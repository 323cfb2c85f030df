"""Keeps worker processes running beside the gateway: starts them, waits for them to be ready, restarts them."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import structlog

log = structlog.get_logger(__name__)

UNUSABLE = 78  # EX_CONFIG: a worker that cannot start at all, and would not the next time either
BACKOFF_SECONDS = 1.0
POLL_SECONDS = 0.1


class WorkerUnusable(Exception):
    """The worker said that it cannot work; its own log line says why."""


class Supervisor:
    """One worker process. It stops when its standard input closes, so it never outlives us."""

    def __init__(self, model: str, *, grace_seconds: float) -> None:
        self._arguments = [sys.executable, "-m", "services", "worker", "--model", model, "--attended"]
        self._grace_seconds = grace_seconds
        self._port = _free_port()
        self._process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Run workers one after the other until cancelled. Raises WorkerUnusable."""
        while True:
            environment = {**os.environ, "STUDIO_WORKER_PORT": str(self._port)}
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments, stdin=asyncio.subprocess.PIPE, env=environment
            )
            try:
                code = await self._process.wait()
            except asyncio.CancelledError:
                await self._stop(self._process)
                raise
            if code == UNUSABLE:
                raise WorkerUnusable("the worker cannot start")
            log.warning("worker left, starting another", exit_code=code)
            await asyncio.sleep(BACKOFF_SECONDS)

    async def wait_until_ready(self, on_phase: Callable[[str], None]) -> None:
        """Return once the worker consumes; `on_phase` hears what it is doing until then."""
        import httpx2

        async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{self._port}", timeout=2) as client:
            while True:
                try:
                    response = await client.get("/readyz")
                    on_phase(response.json()["phase"])
                    if response.status_code == 200:
                        return
                except httpx2.TransportError:
                    on_phase("starting")
                await asyncio.sleep(POLL_SECONDS)

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(self._grace_seconds + 10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


@asynccontextmanager
async def supervised(supervisors: list[Supervisor]) -> AsyncIterator[asyncio.Future[list[None]]]:
    """Workers run while the block does; the future fails when one of them is unusable."""
    workers = asyncio.gather(*(supervisor.run() for supervisor in supervisors))
    try:
        yield workers
    finally:
        workers.cancel()
        await asyncio.wait([workers])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
