"""`studio generate`: a photo from the running gateway, or from one started for it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console

from services.cli.client import Unreachable, gateway_url, is_running, submit
from services.cli.output_format import OutputFormat
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
    """The finished job and the files written; `saving` is as `destination` gives it.

    Raises Unreachable when STUDIO_URL names a gateway that is not there.
    """
    url = gateway_url(settings)
    if await is_running(url):
        return await submit(url, body, *saving, console)
    if settings.url is not None:
        raise Unreachable(f"no gateway answers at {url}")
    from services.cli.studio import open_studio

    alone = settings.model_copy(update={"host": "127.0.0.1", "port": 0, "workers": 1, "log_level": "warning"})
    with console.status("no gateway is running, starting one for this photo") as status:
        async with open_studio(alone, catalogue, model, status.update) as studio:
            status.stop()
            return await submit(studio.url, {**body, "model": model.name}, *saving, console)
