"""The runtime of a worker: its model, its backends and what it reports with, entered as one context."""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import structlog

from services.common.backends import Backends, open_backends, open_cache
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import ModelUnavailable
from services.common.failpoints import Failpoints
from services.common.network.addresses import WORKER
from services.common.settings import Settings
from services.common.telemetry.export import open_tracer
from services.common.telemetry.measured import measured
from services.common.telemetry.tracing import Tracer
from services.inference.batching.batcher import Batcher
from services.inference.job.metrics import Metrics
from services.inference.runtime.device_errors import first_line
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.registry import resolve_adapter
from services.inference.runtime.sources import resolve_source
from services.inference.worker.announcer import Announcer
from services.inference.worker.best_effort import BestEffort
from services.inference.worker.cores import usable_cores
from services.inference.worker.health import Readiness, serve_health
from services.inference.worker.warm_up import warm_up

log = structlog.get_logger(__name__)


class StoppedWhileLoading(Exception):
    """The worker was told to stop before its model was loaded."""


@dataclass(frozen=True)
class WorkerRuntime:
    """Holds everything that the attempts of a worker share."""

    settings: Settings
    catalogue: Catalogue
    model: Model
    metrics: Metrics
    readiness: Readiness
    tracer: Tracer
    cache: BestEffort
    announcer: Announcer
    executor: ModelExecutor
    batcher: Batcher
    backends: Backends
    failpoints: Failpoints


@asynccontextmanager
async def open_worker_runtime(
    settings: Settings, catalogue: Catalogue, model: Model, executor: ModelExecutor, stop: asyncio.Event
) -> AsyncIterator[WorkerRuntime]:
    """Open the health page, traces, the cache, the announcement, the model, the backends and the batcher, in order.

    Raise BackendUnavailable, ModelUnavailable saying what to do, ThreadLost when loading hangs or the device fails,
    and StoppedWhileLoading if `stop` is set before the model is loaded.
    """
    readiness, metrics = Readiness(), Metrics(model.name)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(serve_health(settings.worker_host, settings.worker_port, readiness, metrics))
        tracer = await enter(open_tracer(WORKER))
        cache = BestEffort(await enter(open_cache(settings)))
        announcer = await enter(Announcer(cache, model.name).announcing())
        readiness.phase = "loading"
        batcher = Batcher(executor, metrics, deadline_seconds=settings.job_deadline_seconds)
        await _load(executor, batcher, metrics, stop)
        stack.push_async_callback(_close, executor, batcher)
        backends = measured(await enter(open_backends(settings)), metrics, tracer)
        await enter(batcher.running())
        yield WorkerRuntime(
            settings=settings,
            catalogue=catalogue,
            model=model,
            metrics=metrics,
            readiness=readiness,
            tracer=tracer,
            cache=cache,
            announcer=announcer,
            executor=executor,
            batcher=batcher,
            backends=backends,
            failpoints=Failpoints(settings.failpoint),
        )


async def _load(executor: ModelExecutor, batcher: Batcher, metrics: Metrics, stop: asyncio.Event) -> None:
    async def load() -> None:
        with metrics.stage("load"):
            await executor.load()
        await warm_up(executor, batcher.timings, batcher.deadline_seconds)

    if not await _done_before(stop, load()):
        raise StoppedWhileLoading


async def _close(executor: ModelExecutor, batcher: Batcher) -> None:
    """Close the model, unless its thread is at a call: it cannot be joined, and the process leaves without it."""
    if not executor.busy and batcher.loss is None:
        await executor.close()


def model_executor(settings: Settings, model: Model) -> ModelExecutor:
    """Return the executor of the model's adapter, not loaded. Raise ModelUnavailable saying what to do."""
    try:
        adapter = resolve_adapter(model.adapter)
        source = resolve_source(model, catalogue_folder=settings.catalogue.parent)
        threads = max(1, usable_cores() // settings.workers)
        return ModelExecutor(adapter(model, source), device=settings.device, threads=threads)
    except (ModelUnavailable, KeyboardInterrupt):
        raise
    except BaseException as exc:  # libraries written in Rust raise what is no Exception
        log.debug("making the adapter failed", exc_info=True)
        raise ModelUnavailable(
            f"{model.name}: the adapter {model.adapter} cannot be made for it: "
            f"{type(exc).__name__}: {first_line(exc)}; "
            f"check `adapter`, `source` and `options` of [models.{model.name}] in {settings.catalogue} "
            f"(STUDIO_LOG_LEVEL=debug shows where)"
        ) from exc


async def _done_before(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Return True if the work was done before `stop` was set. Raise what the work raises."""
    working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if working.done():
        working.result()
    return working.done()
