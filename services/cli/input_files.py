"""Sends the files that a job is made from to the gateway, before the job itself."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import httpx2

from services.cli.gateway_access import ask

SECONDS: Final = 60.0  # without a sign of the gateway, which decodes one file after the other


async def with_files_sent(client: httpx2.AsyncClient, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a job with the ids of its files in place of their paths. Raises OSError, and as `ask`."""
    return {name: await _sent(client, value) if isinstance(value, Path) else value for name, value in body.items()}


async def _sent(client: httpx2.AsyncClient, path: Path) -> str:
    data = await asyncio.to_thread(path.read_bytes)
    answer = await ask(client, "POST", "/v1/inputs", files={"file": ("file", data)}, timeout=SECONDS)
    input_id: str = answer.json()["id"]
    return input_id
