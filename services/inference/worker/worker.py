"""The worker: it consumes the queue of one model, runs attempts, and drains when told to stop."""

import asyncio
from contextlib import aclosing
from typing import cast

import structlog

from services.common.brokers.delivery import Delivery
from services.common.errors import (
    BackendRefused,
    BackendUnavailable,
    HandedBack,
    InvalidMessage,
    JobNotFound,
    NewerVersion,
    RecordUnreadable,
    StorageDenied,
    ThreadLost,
)
from services.common.manifests import Manifests
from services.common.ports import Lease, Outcome
from services.common.schemas import JobError, JobMessage, State
from services.common.telemetry.tracing import message_attributes
from services.inference.worker.attempt import Attempt
from services.inference.worker.worker_runtime import WorkerRuntime

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0  # before the next try, when something else than the job failed
LASTING_SECONDS = 30.0  # the same, for a fault that lasts: the broker allows a hundred deliveries
LAST_WORDS_SECONDS = 5.0  # for handing back jobs that were not finished within the grace period


class Worker:
    """Takes deliveries until it is told to stop, or must leave because the model thread is lost."""

    def __init__(self, runtime: WorkerRuntime) -> None:
        settings = runtime.settings
        self._runtime = runtime
        self._prefetch = settings.prefetch or 2 * runtime.batcher.max_batch
        self._grace_seconds = settings.grace_seconds
        self._consuming = asyncio.Event()
        self._deliveries: dict[asyncio.Task[None], Attempt | None] = {}  # with the attempt that each leads to
        self._in_hand: dict[str, asyncio.Event] = {}  # by job; set when its attempt is over

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> None:
        """Work until `stop` is set, then drain, at once if `hurry` is. Raise ThreadLost when another must go on."""
        batcher = self._runtime.batcher
        self._report()
        running = [asyncio.create_task(work) for work in (self._consume(), _wait(stop), _wait(batcher.lost))]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._runtime.announcer.drain()
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await self._drain(hurry)
        if batcher.loss is not None:
            raise batcher.loss
        if not running[0].cancelled():
            running[0].result()

    def _report(self) -> None:
        """Let readiness, metrics and the announcement say from now on whether jobs can come."""
        runtime, batcher = self._runtime, self._runtime.batcher
        runtime.readiness.watch(self._consuming.is_set, runtime.backends)
        runtime.metrics.watch(self._consuming.is_set, lambda: batcher.timings.busy)
        runtime.announcer.serve(batcher.timings, batcher.max_batch, self._consuming.is_set)
        log.info("worker consumes", max_batch=batcher.max_batch, prefetch=self._prefetch)

    async def _consume(self) -> None:
        """Consume until cancelled, over outages of the broker. Raise BackendRefused if it refuses from the start."""
        while True:
            try:
                broker, model = self._runtime.backends.broker, self._runtime.model.name
                async with aclosing(broker.consume(model, self._prefetch, self._consuming)) as deliveries:
                    async for delivery in deliveries:
                        self._start(delivery)
            except BackendRefused:
                raise
            except BackendUnavailable as exc:
                log.warning("consuming interrupted", reason=str(exc))
            await asyncio.sleep(RETRY_SECONDS)

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._handle(delivery))
        self._deliveries[task] = None
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        del self._deliveries[task]
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("delivery requeued", exc_info=exc)

    async def _handle(self, delivery: Delivery) -> None:
        async with delivery as body:
            try:
                await self._attempt(JobMessage.decode(body), delivery)
            except InvalidMessage as exc:
                log.warning("message goes to the dead letters", job_id=exc.job_id, reason=str(exc))
                self._runtime.metrics.dead_letters.inc()
                await self._end_unreadable(exc)
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
        self._deliveries[_this_task()] = None
        await asyncio.sleep(LASTING_SECONDS)

    async def _attempt(self, message: JobMessage, delivery: Delivery) -> None:
        structlog.contextvars.bind_contextvars(job_id=message.job_id)
        tracer = self._runtime.tracer
        attributes = message_attributes("process", message) if tracer.enabled else None
        with tracer.span("process studio.jobs", "consumer", delivery.headers, attributes):
            await self._attempt_once(message, delivery)

    async def _attempt_once(self, message: JobMessage, delivery: Delivery) -> None:
        while (ended := self._in_hand.get(message.job_id)) is not None:
            # Delivered again after a reconnection, while the first attempt goes on: `begin` tells how that ended.
            await ended.wait()
        self._in_hand[message.job_id] = asyncio.Event()
        try:
            attempt = Attempt(message, delivery.deliveries, self._runtime, bulk=delivery.bulk)
            self._deliveries[_this_task()] = attempt
            await attempt.run()
        finally:
            self._in_hand.pop(message.job_id).set()

    async def _end_unreadable(self, fault: InvalidMessage) -> None:
        """End the job as failed, where the message says which job it is."""
        try:
            if fault.job_id is not None:
                await self._fail(fault.job_id)
        except StorageDenied:
            log.exception("manifest not written, the job is known for as long as its record is")
        except BackendUnavailable:
            await asyncio.sleep(RETRY_SECONDS)  # as for every other delivery that is requeued
            raise

    async def _fail(self, job_id: str) -> None:
        statuses = self._runtime.backends.statuses
        told = "no worker understands the job's message, which is among the dead letters: ask the operator"
        error = JobError(code="invalid-message", message=told)
        await statuses.finish(Lease.of_gateway(job_id), Outcome(State.FAILED, error=error))
        try:
            record = await statuses.get(job_id)
        except JobNotFound:
            return
        if record.state.terminal:
            await Manifests(self._runtime.backends.objects).write(record)

    async def _drain(self, hurry: asyncio.Event) -> None:
        """Requeue deliveries that are not begun, finish the others, and hand back those not finished in time.

        The grace period ends when `hurry` is set.
        """
        for task, attempt in self._deliveries.items():
            if attempt is None or not attempt.called:
                task.cancel()
        grace = self._grace_seconds
        if self._runtime.batcher.loss is not None:
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
