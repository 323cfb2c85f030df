"""`studio`: the whole system in one command, gateway in this process and workers as its children."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from services.api.app import create_app
from services.api.server import serve
from services.cli.signals import stop_event
from services.cli.supervisor import Supervisor, supervised
from services.common.catalogue import Catalogue, Model
from services.common.settings import Settings


async def run_studio(settings: Settings, catalogue: Catalogue, model: Model, console: Console) -> None:
    """Run until SIGTERM or SIGINT, then drain. Raises as `open_studio`."""
    stop = stop_event()
    with console.status("starting") as status:
        async with open_studio(settings, catalogue, model, status.update) as studio:
            status.stop()
            print(f"Studio is ready: {studio.url}", flush=True)
            stopped: asyncio.Future[Any] = asyncio.create_task(stop.wait())
            await asyncio.wait([studio.failed, stopped], return_when=asyncio.FIRST_COMPLETED)
            if studio.failed.done():
                studio.failed.result()


@dataclass(frozen=True)
class Studio:
    """`url` of the gateway; `failed` raises when a worker is unusable or the gateway ends before it should."""

    url: str
    failed: asyncio.Future[Any]


@asynccontextmanager
async def open_studio(
    settings: Settings, catalogue: Catalogue, model: Model, on_phase: Callable[[str], None]
) -> AsyncIterator[Studio]:
    """Gateway and workers, ready when the block begins. Raises WorkerUnusable, BackendUnavailable, OSError."""
    stop = asyncio.Event()
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    app = create_app(settings, catalogue)
    gateway: asyncio.Future[Any] = asyncio.create_task(serve(app, settings, stop, bound.set_result))
    supervisors = [Supervisor(model.name, grace_seconds=settings.grace_seconds) for _ in range(settings.workers)]
    try:
        await asyncio.wait([gateway, bound], return_when=asyncio.FIRST_COMPLETED)
        if gateway.done():
            gateway.result()
        async with supervised(supervisors) as workers:
            failed: asyncio.Future[Any] = asyncio.gather(gateway, workers)
            ready: asyncio.Future[Any] = asyncio.gather(*(supervisor.wait_until_ready(on_phase) for supervisor in supervisors))
            await asyncio.wait([failed, ready], return_when=asyncio.FIRST_COMPLETED)
            if failed.done():
                failed.result()
            yield Studio(bound.result(), failed)
    finally:
        stop.set()
        await asyncio.wait([gateway])
