"""The worker: it consumes the queues of its models, runs attempts, and drains when told to stop."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import cast

import structlog

from services.common.brokers.delivery import Delivery
from services.common.errors import (
    HandedBack,
    InvalidMessage,
    NewerVersion,
    RecordUnreadable,
    StorageDenied,
    ThreadLost,
)
from services.common.schemas import JobMessage
from services.common.telemetry.tracing import message_attributes
from services.inference.worker.attempt import Attempt
from services.inference.worker.consumer import Consumer
from services.inference.worker.unreadable import end_unreadable
from services.inference.worker.worker_runtime import WorkerRuntime

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0  # before the next try, when something else than the job failed
LASTING_SECONDS = 30.0  # the same, for a fault that lasts: the broker allows a hundred deliveries
LAST_WORDS_SECONDS = 5.0  # for handing back jobs that were not finished within the grace period


@dataclass
class _Handling:
    """The handling of one delivery, and the attempt that it leads to."""

    runtime: WorkerRuntime
    attempt: Attempt | None = None

    @property
    def called(self) -> bool:
        return self.attempt is not None and self.attempt.called


class Worker:
    """Takes deliveries until it is told to stop, or must leave because the model thread is lost.

    A model that cannot be loaded is served no more: its deliveries are handed back, uncharged, for other workers.
    """

    def __init__(self, runtimes: Sequence[WorkerRuntime]) -> None:
        self._consumers = [Consumer(runtime, self._start, among=len(runtimes)) for runtime in runtimes]
        self._announcers = [runtime.announcer for runtime in runtimes]
        self._batcher = runtimes[0].batcher
        self._backends = runtimes[0].backends
        self._grace_seconds = runtimes[0].settings.grace_seconds
        self._deliveries: dict[asyncio.Task[None], _Handling] = {}
        self._in_hand: dict[str, asyncio.Event] = {}  # by job; set when its attempt is over

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> None:
        """Work until `stop` is set, then drain, at once if `hurry` is.

        Raise ThreadLost when another must go on, and ModelUnavailable when no model can be served.
        """
        batcher = self._batcher
        for consumer in self._consumers:
            consumer.report(partial(self._waiting, consumer.runtime))
        running = [asyncio.create_task(work) for work in (self._consume(), _wait(stop), _wait(batcher.lost))]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for announcer in self._announcers:
                announcer.drain()
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await self._drain(hurry)
        if batcher.loss is not None:
            raise batcher.loss
        if not running[0].cancelled():
            running[0].result()

    async def _consume(self) -> None:
        """Consume all queues. Raise BackendRefused, and ModelUnavailable when there is no model left."""
        serving = [asyncio.create_task(self._serve(consumer)) for consumer in self._consumers]
        try:
            await asyncio.wait(serving, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for task in serving:
                task.cancel()
            await asyncio.wait(serving)
        for task in serving:
            if not task.cancelled():
                task.result()
        raise next(fault for consumer in self._consumers if (fault := consumer.runtime.served.fault))

    async def _serve(self, consumer: Consumer) -> None:
        """Serve one model until it has failed."""
        await consumer.run()
        served = consumer.runtime.served
        log.error("model unavailable, its jobs wait", model=served.name, reason=str(served.fault))
        for task, handling in self._deliveries.items():
            if handling.runtime is consumer.runtime and not handling.called:
                task.cancel()

    def _waiting(self, runtime: WorkerRuntime) -> tuple[str, ...]:
        """Return the jobs of a model that are not called yet. A worker of one model need not tell: see LaneSweep."""
        if len(self._consumers) == 1:
            return ()
        held = [each for each in self._deliveries.values() if each.runtime is runtime and not each.called]
        return tuple(each.attempt.job_id for each in held if each.attempt is not None)

    def _start(self, delivery: Delivery, runtime: WorkerRuntime) -> None:
        task = asyncio.create_task(self._handle(delivery, runtime))
        self._deliveries[task] = _Handling(runtime)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._deliveries[task]
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("delivery requeued", exc_info=exc)

    async def _handle(self, delivery: Delivery, runtime: WorkerRuntime) -> None:
        async with delivery as body:
            try:
                await self._attempt(JobMessage.decode(body), delivery, runtime)
            except InvalidMessage as exc:
                log.warning("message goes to the dead letters", job_id=exc.job_id, reason=str(exc))
                runtime.metrics.dead_letters.inc()
                await end_unreadable(self._backends, exc)
                raise
            except HandedBack:
                raise  # delivered again
            except ThreadLost:
                pass  # its outcome is stored
            except NewerVersion as exc:
                log.error("upgrade this worker; the job waits", reason=str(exc))  # noqa: TRY400 - the sentence says all
                await self._let_rest()
                raise
            except (RecordUnreadable, StorageDenied) as exc:
                log.error("the job waits until this is mended", reason=str(exc))  # noqa: TRY400 - the sentence says all
                await self._let_rest()
                raise
            except Exception:
                await asyncio.sleep(RETRY_SECONDS)  # it is requeued, and would come back at once
                raise

    async def _let_rest(self) -> None:
        """Wait before the delivery is requeued. A worker that stops meanwhile does not wait for it."""
        self._deliveries[_this_task()].attempt = None
        await asyncio.sleep(LASTING_SECONDS)

    async def _attempt(self, message: JobMessage, delivery: Delivery, runtime: WorkerRuntime) -> None:
        structlog.contextvars.bind_contextvars(job_id=message.job_id, model=runtime.model.name)
        tracer = runtime.tracer
        attributes = message_attributes("process", message) if tracer.enabled else None
        with tracer.span("process studio.jobs", "consumer", delivery.headers, attributes):
            await self._attempt_once(message, delivery, runtime)

    async def _attempt_once(self, message: JobMessage, delivery: Delivery, runtime: WorkerRuntime) -> None:
        deliveries = delivery.deliveries
        while (ended := self._in_hand.get(message.job_id)) is not None:
            # Delivered again after a reconnection, while the first attempt goes on: its record tells how that ended.
            await ended.wait()
            deliveries += 1
        self._in_hand[message.job_id] = asyncio.Event()
        try:
            attempt = Attempt(message, deliveries, runtime, bulk=delivery.bulk)
            self._deliveries[_this_task()].attempt = attempt
            await attempt.run()
        finally:
            self._in_hand.pop(message.job_id).set()

    async def _drain(self, hurry: asyncio.Event) -> None:
        """Requeue deliveries that are not begun, finish the others, and hand back those not finished in time.

        The grace period ends when `hurry` is set.
        """
        for task, handling in self._deliveries.items():
            if not handling.called:
                task.cancel()
        grace = self._grace_seconds
        if self._batcher.loss is not None:
            grace = max(grace, LAST_WORDS_SECONDS)  # else the next worker would lose its thread to the same job
        if self._deliveries:
            log.info("draining", jobs=len(self._deliveries), grace_seconds=grace)
            ends = [asyncio.create_task(work) for work in (_done({*self._deliveries}), _wait(hurry))]
            await asyncio.wait(ends, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        for task in self._deliveries:
            task.cancel()
        if self._deliveries:
            await asyncio.wait({*self._deliveries}, timeout=LAST_WORDS_SECONDS)


def _this_task() -> "asyncio.Task[None]":
    return cast("asyncio.Task[None]", asyncio.current_task())


async def _done(tasks: "set[asyncio.Task[None]]") -> None:
    await asyncio.wait(tasks)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
