"""Keeps worker processes running beside the gateway: starts them, waits for them to be ready, restarts them."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress

import structlog

from services.common.network.addresses import WORKER, is_ours
from services.common.settings import Settings

log = structlog.get_logger(__name__)

UNUSABLE = 78  # EX_CONFIG: a worker that cannot start at all, and would not the next time either
BACKOFF_SECONDS = 1.0
POLL_SECONDS = 0.1
# -P: the folder that `studio` was started in may hold modules with the names of ours, or of Python's own.
COMMAND = (sys.executable, "-P", "-m", "services", "worker", "--attended")
ERRORS = 2  # the file descriptor of standard error


class WorkerUnusable(Exception):
    """The worker exited because it cannot start; its log says why."""


class Supervisor:
    """One worker process. It stops when its standard input closes, so it never outlives the supervisor."""

    def __init__(self, settings: Settings) -> None:
        self._port = _free_port()
        self._grace_seconds = settings.grace_seconds
        # Values that the command line may have changed from the environment that the worker inherits.
        self._environment = {
            "STUDIO_MODEL": str(settings.model),
            "STUDIO_MODELS": settings.models,
            "STUDIO_WORKERS": str(settings.workers),
            "STUDIO_LOG_LEVEL": settings.log_level,
            "STUDIO_WORKER_HOST": "127.0.0.1",
        }

    async def run(self) -> None:
        """Run workers one after the other until cancelled. Raises WorkerUnusable."""
        while True:
            process = await self._start()
            try:
                code = await process.wait()
            except asyncio.CancelledError:
                await self._stop(process)
                raise
            if code == UNUSABLE:
                raise WorkerUnusable("the worker cannot start: its last log line says why, and what to do")
            log.warning("worker left, starting another", exit_code=code, **_reason(code))
            await asyncio.sleep(BACKOFF_SECONDS)
            self._port = _free_port()  # another program may have taken the last one

    async def wait_until_ready(self, on_phase: Callable[[str], None]) -> None:
        """Return once the worker consumes; `on_phase` gets its phases until then."""
        import httpx2

        # The environment's proxy does not apply on this machine.
        async with httpx2.AsyncClient(timeout=2, trust_env=False) as client:
            while True:
                phase = "starting"
                with suppress(httpx2.RequestError):  # it does not listen yet
                    response = await client.get(f"http://127.0.0.1:{self._port}/readyz")
                    if is_ours(response.content, WORKER):  # another process may still have its port
                        if response.status_code == 200:
                            return
                        phase = str(response.json()["phase"])
                on_phase(phase)
                await asyncio.sleep(POLL_SECONDS)

    async def _start(self) -> asyncio.subprocess.Process:
        """Start a worker. If this is cancelled meanwhile, the worker is stopped."""
        command = asyncio.create_subprocess_exec(
            *COMMAND,
            stdin=asyncio.subprocess.PIPE,
            stdout=ERRORS,  # prints of a library must not get into a photo on standard output
            env={**os.environ, **self._environment, "STUDIO_WORKER_PORT": str(self._port)},
        )
        starting = asyncio.create_task(command)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            await self._stop(await starting)
            raise

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(self._grace_seconds + 10):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _reason(code: int) -> dict[str, str]:
    """Return what may be behind an exit that the worker itself could not log."""
    if code != -signal.SIGKILL:
        return {}
    why = "killed: the system does that where the memory of the machine, or that allowed to a container, is used up"
    return {"reason": f"{why}; allow more, take a smaller model, or ask for fewer and smaller images at once"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
