"""The runtime of a worker: its models, its backends and what it reports with, entered as one context."""

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import structlog

from services.common.backends import Backends, open_backends, open_cache
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.catalogue.installed import installed_bytes
from services.common.errors import ModelUnavailable
from services.common.failpoints import Failpoints
from services.common.network.addresses import WORKER
from services.common.settings import Settings
from services.common.telemetry.export import open_tracer
from services.common.telemetry.measured import measured
from services.common.telemetry.tracing import Tracer
from services.inference.batching.batcher import Batcher
from services.inference.batching.model_memory import ModelMemory
from services.inference.batching.served_model import ServedModel
from services.inference.job.metrics import Metrics, ModelMetrics
from services.inference.runtime.device_errors import first_line
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.model_thread import ModelThread
from services.inference.runtime.registry import resolve_adapter
from services.inference.runtime.sources import resolve_source
from services.inference.worker.announcer import Announcer
from services.inference.worker.best_effort import BestEffort
from services.inference.worker.cores import usable_cores
from services.inference.worker.health import Readiness, serve_health
from services.inference.worker.warm_up import warm_up

log = structlog.get_logger(__name__)


class StoppedWhileLoading(Exception):
    """The worker was told to stop before a model was loaded."""


@dataclass(frozen=True)
class WorkerRuntime:
    """Holds everything that the attempts at jobs of one model share. A worker of several models has one for each.

    `served`, `metrics` and `announcer` are of the model; all else is the same for all models.
    """

    settings: Settings
    catalogue: Catalogue
    served: ServedModel
    metrics: ModelMetrics
    announcer: Announcer
    readiness: Readiness
    tracer: Tracer
    cache: BestEffort
    batcher: Batcher
    backends: Backends
    failpoints: Failpoints

    @property
    def model(self) -> Model:
        return self.served.model


@asynccontextmanager
async def open_worker_runtimes(
    settings: Settings, catalogue: Catalogue, models: Sequence[Model], thread: ModelThread, stop: asyncio.Event
) -> AsyncIterator[Sequence[WorkerRuntime]]:
    """Open the health page, traces, the cache, the announcements, a model, the backends and the batcher, in order.

    The first of the models that can be loaded is; the others are when jobs come for them. A model that cannot be
    served is logged, and has no runtime. Raise ModelUnavailable, saying what to do, if that leaves none,
    BackendUnavailable, ThreadLost when loading hangs or the device fails, and StoppedWhileLoading if `stop` is set
    before a model is loaded.
    """
    readiness, metrics, worker_id = Readiness(), Metrics(), uuid4().hex
    served = _served(settings, models, thread, metrics)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        await enter(serve_health(settings.worker_host, settings.worker_port, readiness, metrics))
        tracer = await enter(open_tracer(WORKER))
        cache = BestEffort(await enter(open_cache(settings)))
        announcers = {model.name: await enter(Announcer(cache, worker_id, model.name).announcing()) for model in models}
        readiness.phase = "loading"
        memory = _memory(settings, served, thread)
        batcher = Batcher(memory, deadline_seconds=settings.job_deadline_seconds)
        await _load_first(served, memory, stop)
        stack.push_async_callback(_close, memory, thread, batcher)
        backends = measured(await enter(open_backends(settings)), metrics, tracer)
        await enter(batcher.running())
        usable = [each for each in served if each.fault is None]
        for name in announcers.keys() - {each.name for each in usable}:
            announcers[name].fail()
            readiness.fail(name)
        yield [
            WorkerRuntime(
                settings=settings,
                catalogue=catalogue,
                served=each,
                metrics=each.metrics,
                announcer=announcers[each.name],
                readiness=readiness,
                tracer=tracer,
                cache=cache,
                batcher=batcher,
                backends=backends,
                failpoints=Failpoints(settings.failpoint),
            )
            for each in usable
        ]


def _served(
    settings: Settings, models: Sequence[Model], thread: ModelThread, metrics: Metrics
) -> Sequence[ServedModel]:
    """Return the models that have an adapter. Raise the last ModelUnavailable if none has."""
    served = []
    for model in models:
        try:
            served.append(ServedModel(model, partial(model_executor, settings, model, thread), metrics.of(model.name)))
        except ModelUnavailable as exc:
            if not served and model is models[-1]:
                raise
            _tell(model, exc)
    return served


def _memory(settings: Settings, served: Sequence[ServedModel], thread: ModelThread) -> ModelMemory:
    async def prepare(model: ServedModel) -> None:
        await warm_up(model.executor, model.timings, settings.job_deadline_seconds)

    def size_of(model: ServedModel) -> int:
        return installed_bytes(model.model, settings.catalogue.parent)

    return ModelMemory(served, thread, prepare, limit=settings.model_memory, size_of=size_of)


async def _load_first(served: Sequence[ServedModel], memory: ModelMemory, stop: asyncio.Event) -> None:
    """Load the first model that can be loaded. Raise the last ModelUnavailable if none can."""
    for model in served:
        try:
            if not await _done_before(stop, memory.load(model)):
                raise StoppedWhileLoading
        except ModelUnavailable as exc:
            if model is served[-1]:
                raise
            model.fail(exc)
            _tell(model.model, exc)
        else:
            return


def _tell(model: Model, exc: ModelUnavailable) -> None:
    log.error("model unavailable, the others are served", model=model.name, reason=str(exc))


async def _close(memory: ModelMemory, thread: ModelThread, batcher: Batcher) -> None:
    """Unload all models, unless the thread is at a call: it cannot be joined, and the process leaves without it."""
    if not thread.busy and batcher.loss is None:
        await memory.close()
        thread.close()


def model_executor(settings: Settings, model: Model, thread: ModelThread) -> ModelExecutor:
    """Return an executor of the model's adapter, not loaded. Raise ModelUnavailable saying what to do."""
    try:
        adapter = resolve_adapter(model.adapter)
        source = resolve_source(model, catalogue_folder=settings.catalogue.parent)
        threads = max(1, usable_cores() // settings.workers)
        return ModelExecutor(adapter(model, source), device=settings.device, threads=threads, thread=thread)
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
