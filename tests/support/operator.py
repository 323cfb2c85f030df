"""Acts as an operator beside running services: opens their backends, runs `studio`, sets a visitor's cookie."""

import asyncio
import json
import secrets
import subprocess
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar
from unittest.mock import patch

import httpx2

from services.api.auth.visitor import COOKIE, Visitors
from services.common.backends import Backends, open_backends
from services.common.settings import Settings
from tests.support.system import System

T = TypeVar("T")

SECRET = "a key to sign cookies with"  # the gateway must be started with this secret


def on_backends(system: System, use: Callable[[Backends], Awaitable[T]]) -> T:
    async def run() -> T:
        async with open_backends(settings) as backends:
            return await use(backends)

    with patch.dict("os.environ", system.environment, clear=True):
        settings = Settings()
    return asyncio.run(run())


def studio(system: System, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command with the system's settings and return it once it has ended."""
    command = [sys.executable, "-m", "services", *arguments]
    return subprocess.run(
        command, cwd=system.folder, env=system.environment, capture_output=True, text=True, timeout=90, check=False
    )


def erase(system: System, owner: str) -> dict[str, Any]:
    """Run `studio erase` and return its report."""
    done = studio(system, "erase", "--owner", owner, "--json")
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def visitor(client: httpx2.Client) -> str:
    """Give the client the cookie of a new visitor, and return the owner of the jobs it will submit."""
    visitors = Visitors(SECRET.encode(), secure=False, path="/")
    owner = visitors.newcomer(secrets.token_hex())
    client.cookies.set(COOKIE, visitors._signer.sign(owner.removeprefix("visitor:")).decode())
    return owner
