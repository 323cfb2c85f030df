"""`studio`: the whole system in one command, gateway in this process and workers as its children."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console

from services.api.app import create_app
from services.api.core.metrics import Metrics
from services.api.server import serve
from services.cli.serve.process import freeze_heap, stop_event
from services.cli.serve.supervisor import Supervisor
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.network.addresses import GATEWAY
from services.common.settings import Settings
from services.common.telemetry.export import open_tracer


async def run_studio(settings: Settings, catalogue: Catalogue, models: Sequence[Model], console: Console) -> None:
    """Run until SIGTERM or SIGINT, also while it starts, then drain. Raises as `open_studio`."""
    stopped = asyncio.create_task(stop_event().wait())
    running = asyncio.create_task(_run(settings, catalogue, models, console))
    try:
        await asyncio.wait([stopped, running], return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        running.cancel()  # the cancellation drains the system
        await asyncio.wait([running])
    if not running.cancelled():
        running.result()


async def _run(settings: Settings, catalogue: Catalogue, models: Sequence[Model], console: Console) -> None:
    with console.status("starting") as status:
        async with open_studio(settings, catalogue, models, status.update) as studio:
            status.stop()
            print(f"Studio is ready: {studio.url}", flush=True)
            await studio.until(asyncio.get_running_loop().create_future())


@dataclass(frozen=True)
class Studio:
    """`url` is the gateway's; `parts` are the gateway and the supervisors of the workers."""

    url: str
    parts: Sequence[asyncio.Task[None]]

    async def until(self, goal: asyncio.Future[Any]) -> None:
        """Wait for `goal`. Raises the error of a part that ends before."""
        await _until(goal, self.parts)


@asynccontextmanager
async def open_studio(
    settings: Settings, catalogue: Catalogue, models: Sequence[Model], on_phase: Callable[[str], None]
) -> AsyncIterator[Studio]:
    """Start gateway and workers, ready when the block begins. Raises WorkerUnusable, BackendUnavailable, OSError.

    Requests that name no model are for the first one.
    """
    names = [model.name for model in models]
    settings = settings.model_copy(update={"model": names[0], "models": ",".join(names)})
    stop = asyncio.Event()
    bound: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_ready(url: str) -> None:
        freeze_heap()
        if not bound.done():  # else the start was given up
            bound.set_result(url)

    parts = [asyncio.create_task(_serve(settings, catalogue, stop, on_ready))]
    try:
        await _until(bound, parts)
        supervisors = [Supervisor(settings) for _ in range(settings.workers)]
        parts += [asyncio.create_task(supervisor.run()) for supervisor in supervisors]
        for supervisor in supervisors:
            await _until(asyncio.create_task(supervisor.wait_until_ready(on_phase)), parts)
        yield Studio(bound.result(), parts)
    finally:
        stop.set()
        for worker in parts[1:]:
            worker.cancel()
        await asyncio.gather(*parts, return_exceptions=True)


async def _serve(
    settings: Settings, catalogue: Catalogue, stop: asyncio.Event, on_ready: Callable[[str], None]
) -> None:
    async with open_tracer(GATEWAY) as tracer:
        metrics = Metrics()
        app = create_app(settings, catalogue, tracer=tracer, metrics=metrics)
        await serve(app, settings, stop, on_ready, metrics)


async def _until(goal: asyncio.Future[Any], parts: Sequence[asyncio.Task[None]]) -> None:
    """Wait for `goal`. Raises its error, or the error of a part that ends before."""
    try:
        await asyncio.wait([goal, *parts], return_when=asyncio.FIRST_COMPLETED)
        ended = [part for part in parts if part.done()]
        (ended[0] if ended else goal).result()
    finally:
        goal.cancel()
