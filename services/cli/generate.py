"""`studio generate`: a photo from the running gateway, or from one started for it."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from services.cli.client import submit
from services.cli.gateway_access import GatewayAccess, Refused, Unreachable, check_gateway
from services.cli.image_options import OutputFormat
from services.common.catalogue import Catalogue, Model
from services.common.settings import Settings


async def run_generate(
    settings: Settings,
    catalogue: Catalogue,
    model: Model,
    body: Mapping[str, Any],
    saving: tuple[Path, OutputFormat | None],
    console: Console,
) -> tuple[dict[str, Any], list[Path]]:
    """Make the job; return it, finished, and the files written. `saving` is as `destination` returns it.

    Raises Unreachable or Refused when STUDIO_URL names a gateway that is not there.
    """
    gateway = GatewayAccess.of(settings)
    try:
        await check_gateway(gateway.url)
    except (Unreachable, Refused):
        if settings.url is not None:
            raise
    else:
        return await submit(gateway, body, *saving, console)
    from services.cli.studio import open_studio

    # This gateway serves one command: it needs no keys, and its links do not lead to a public site.
    addresses = {"host": "127.0.0.1", "port": 0, "public_url": None, "published_host": None}
    private = {**addresses, "keys": None, "keys_file": None}
    alone = settings.model_copy(update={**private, "workers": 1, "log_level": "warning"})
    with console.status("no gateway is running, starting one for this photo") as status:
        async with open_studio(alone, catalogue, model, status.update) as studio:
            status.stop()
            submitted = submit(GatewayAccess(studio.url), {**body, "model": model.name}, *saving, console)
            made = asyncio.create_task(submitted)
            await studio.until(made)  # raises at once if our own gateway or worker is gone
            return made.result()
