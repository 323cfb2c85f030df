"""`studio worker`: load one model, consume its queue, drain on SIGTERM."""

import asyncio
import os
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any, NoReturn

import structlog

from services.cli.process import freeze_heap, stop_event
from services.cli.supervisor import UNUSABLE
from services.common.backends import open_backends, open_cache
from services.common.catalogue import Catalogue, Model
from services.common.errors import BackendUnavailable, ModelUnavailable, ThreadLost
from services.common.failpoints import Failpoints
from services.common.settings import Settings
from services.common.telemetry.export import open_tracer
from services.common.telemetry.measured import measured
from services.common.telemetry.tracing import Tracer
from services.inference.batching.batcher import Batcher
from services.inference.job.metrics import Metrics
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.registry import resolve_adapter
from services.inference.runtime.sources import resolve_source
from services.inference.worker.announcer import Announcer
from services.inference.worker.best_effort import BestEffort
from services.inference.worker.context import WorkerContext
from services.inference.worker.health import Readiness, serve_health
from services.inference.worker.warm_up import warm_up
from services.inference.worker.worker import Worker

log = structlog.get_logger(__name__)

UNAVAILABLE = 69  # EX_UNAVAILABLE: a backend did not answer at the start
HUNG = 70  # EX_SOFTWARE: the model thread can do no more; another process must take over


async def run_worker(settings: Settings, catalogue: Catalogue, model: Model, *, attended: bool) -> int:
    """Return the exit code: 0 drained, 69 a backend is unavailable, 70 a job or the device hung, 78 no model.

    `attended` also stops when standard input closes: the supervisor holds the other end.
    """
    structlog.contextvars.bind_contextvars(model=model.name)
    hurry = asyncio.Event()
    stop = stop_event(hurry)
    if attended:
        _stop_at_end_of_input(stop)
    readiness, metrics = Readiness(), Metrics(model.name)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(serve_health(settings.worker_host, settings.worker_port, readiness, metrics))
        tracer = await stack.enter_async_context(open_tracer("studio-worker"))
        try:
            cache = BestEffort(await stack.enter_async_context(open_cache(settings)))
        except BackendUnavailable as exc:
            log.error("backend unavailable", reason=str(exc))  # noqa: TRY400 - the sentence says what to do
            return UNAVAILABLE
        announcer = await stack.enter_async_context(Announcer(cache, model.name).announcing())
        try:
            executor = _executor(settings, model)
            batcher = Batcher(executor, metrics, deadline_seconds=settings.job_deadline_seconds)
            readiness.phase = "loading"
            if not await _done_before(stop, _load(executor, batcher, metrics, settings.job_deadline_seconds)):
                _leave(0)  # nothing has begun
        except (ModelUnavailable, ValueError) as exc:
            log.error("model unavailable", reason=str(exc))  # noqa: TRY400 - the sentence says what to do
            return UNUSABLE
        except ThreadLost as exc:
            log.error("leaving, the model thread cannot be used", reason=str(exc))  # noqa: TRY400
            _leave(HUNG)
        code = await _consume(
            settings, catalogue, model, batcher, cache, announcer, readiness, metrics, tracer, stop, hurry
        )
        if executor.busy or code == HUNG:
            _leave(code)  # 0 where it was told to stop: what it had begun is handed back
        await executor.close()
    return code


async def _load(executor: ModelExecutor, batcher: Batcher, metrics: Metrics, deadline_seconds: float) -> None:
    with metrics.stage("load"):
        await executor.load()
    await warm_up(executor, batcher.timings, deadline_seconds)
    freeze_heap()


async def _done_before(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether the work was done before `stop` was set. Raises what it raises."""
    working, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait([working, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if working.done():
        working.result()
    return working.done()


def _leave(code: int) -> NoReturn:
    """At once: the model thread cannot be joined, and the interpreter would wait for it at exit."""
    sys.stderr.flush()
    os._exit(code)


def _executor(settings: Settings, model: Model) -> ModelExecutor:
    adapter = resolve_adapter(model.adapter)
    source = resolve_source(model, catalogue_folder=settings.catalogue.parent)
    threads = max(1, _cores() // settings.workers)
    return ModelExecutor(adapter(model, source), device=settings.device, threads=threads)


def _cores() -> int:
    """Those this process may use, where the system can tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _stop_at_end_of_input(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()

    def ended() -> None:
        loop.remove_reader(sys.stdin.fileno())
        stop.set()

    loop.add_reader(sys.stdin.fileno(), ended)


async def _consume(
    settings: Settings,
    catalogue: Catalogue,
    model: Model,
    batcher: Batcher,
    cache: BestEffort,
    announcer: Announcer,
    readiness: Readiness,
    metrics: Metrics,
    tracer: Tracer,
    stop: asyncio.Event,
    hurry: asyncio.Event,
) -> int:
    try:
        async with open_backends(settings) as opened, batcher.running():
            backends = measured(opened, metrics, tracer)
            place = WorkerContext(
                backends=backends,
                catalogue=catalogue,
                model=model,
                batcher=batcher,
                max_attempts=settings.max_attempts,
                failpoints=Failpoints(settings.failpoint),
                announcer=announcer,
                cache=cache,
                metrics=metrics,
                tracer=tracer,
            )
            prefetch = settings.prefetch or 2 * batcher.max_batch
            worker = Worker(place, prefetch=prefetch, grace_seconds=settings.grace_seconds)
            readiness.watch(worker, backends)
            metrics.watch(lambda: worker.consuming, lambda: batcher.timings.busy)
            announcer.serve(batcher.timings, batcher.max_batch, lambda: worker.consuming)
            log.info("worker consumes", max_batch=batcher.max_batch, prefetch=prefetch)
            await worker.run(stop, hurry)
    except BackendUnavailable as exc:
        log.error("backend unavailable", reason=str(exc))  # noqa: TRY400 - the sentence says what to do
        return UNAVAILABLE
    except ThreadLost as exc:
        log.error("leaving, the model thread cannot be used any more", reason=str(exc))  # noqa: TRY400
        return HUNG
    log.info("drained")
    return 0
