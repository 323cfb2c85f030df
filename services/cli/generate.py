"""`studio generate` and `fetch`: files from the running gateway, or from one started for the command."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from services.cli.client import fetch, submit
from services.cli.gateway_access import GatewayAccess, check_gateway
from services.cli.gateway_answers import Refused, Unreachable
from services.cli.output_format import Destination, OutputFormat
from services.cli.photo_files import PhotoFiles
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.settings import Settings


async def run_generate(
    settings: Settings,
    catalogue: Catalogue,
    model: Model,
    body: Mapping[str, Any],
    saving: tuple[PhotoFiles, OutputFormat | None],
    console: Console,
) -> tuple[dict[str, Any], list[Path]]:
    """Make the job; return it, finished, and the files written. `saving` is as `destination` returns it.

    Raises Unreachable or Refused when STUDIO_URL names a gateway that is not there.
    """
    gateway = GatewayAccess.of(settings)
    if await _is_running(gateway, settings):
        return await submit(gateway, body, *saving, console)
    from services.cli.serve.studio import open_studio

    alone = _alone(settings, workers=1)
    with console.status("no gateway is running, starting one for this job") as status:
        async with open_studio(alone, catalogue, [model], status.update) as studio:
            status.stop()
            submitted = submit(GatewayAccess(studio.url), {**body, "model": model.name}, *saving, console)
            made = asyncio.create_task(submitted)
            await studio.until(made)  # raises at once if our own gateway or worker is gone
            return made.result()


async def run_fetch(
    settings: Settings,
    catalogue: Catalogue,
    model: Model,
    job_id: str,
    choose: Destination,
    console: Console,
) -> tuple[dict[str, Any], list[Path]]:
    """Save the files of a job submitted before; `choose` and what is returned are as in `client.fetch`.

    Raises Unreachable or Refused when STUDIO_URL names a gateway that is not there, and ValueError as `fetch`.
    """
    gateway = GatewayAccess.of(settings)
    if await _is_running(gateway, settings):
        return await fetch(gateway, job_id, choose, console)
    from services.cli.serve.studio import open_studio

    with console.status("no gateway is running, starting one for this job") as status:
        async with open_studio(_alone(settings, workers=0), catalogue, [model], status.update) as studio:
            status.stop()
            return await fetch(GatewayAccess(studio.url), job_id, choose, console, wait=False)


async def _is_running(gateway: GatewayAccess, settings: Settings) -> bool:
    """True if a gateway answers. Raises Unreachable or Refused if none does at the address in STUDIO_URL."""
    try:
        await check_gateway(gateway.url)
    except (Unreachable, Refused):
        if settings.url is not None:
            raise
        return False
    return True


def _alone(settings: Settings, *, workers: int) -> Settings:
    """Return settings for a gateway that serves one command: without keys, and with no links to a public site."""
    addresses = {"host": "127.0.0.1", "port": 0, "public_url": None, "published_host": None}
    private = {**addresses, "keys": None, "keys_file": None}
    return settings.model_copy(update={**private, "workers": workers, "log_level": "warning"})
