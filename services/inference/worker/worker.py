"""The worker: consumes one model's queue, one attempt after another on the device, and drains when told to stop."""

import asyncio
from contextlib import aclosing
from typing import cast

import structlog

from services.common.errors import (
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
from services.common.ports import Delivery, Lease, Outcome
from services.common.schemas import JobError, JobMessage, State
from services.common.telemetry.tracing import message_attributes
from services.inference.worker.attempt import Attempt
from services.inference.worker.context import WorkerContext

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0  # between tries of what failed for no fault of the job, so that nothing spins
LASTING_SECONDS = 30.0  # the same, for what does not pass by itself: the broker allows a hundred deliveries
LAST_WORDS_SECONDS = 5.0  # for handing back what the grace period did not suffice for


class Worker:
    """Takes deliveries until it is told to stop, or must leave."""

    def __init__(self, place: WorkerContext, *, prefetch: int, grace_seconds: float) -> None:
        self._consuming = asyncio.Event()
        self._place = place
        self._prefetch = prefetch
        self._grace_seconds = grace_seconds
        self._tasks: set[asyncio.Task[None]] = set()
        self._begun: set[asyncio.Task[None]] = set()
        self._in_hand: dict[str, asyncio.Event] = {}

    @property
    def consuming(self) -> bool:
        """Whether jobs can come, as far as the broker said when last asked."""
        return self._consuming.is_set()

    async def run(self, stop: asyncio.Event, hurry: asyncio.Event) -> None:
        """Work until `stop` is set, then drain, at once if `hurry` is. Raises ThreadLost when another must go on."""
        batcher = self._place.batcher
        running = [asyncio.create_task(work) for work in (self._consume(), _wait(stop), _wait(batcher.lost))]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._place.announcer.drain()
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            await self._drain(hurry)
        if batcher.loss is not None:
            raise batcher.loss
        if not running[0].cancelled():
            running[0].result()

    async def _consume(self) -> None:
        """Ends only by cancellation: a broker that goes away is consumed again."""
        while True:
            try:
                broker, model = self._place.backends.broker, self._place.model.name
                async with aclosing(broker.consume(model, self._prefetch, self._consuming)) as deliveries:
                    async for delivery in deliveries:
                        self._start(delivery)
            except BackendUnavailable as exc:
                log.warning("consuming interrupted", reason=str(exc))
            await asyncio.sleep(RETRY_SECONDS)

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.create_task(self._handle(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self._begun.discard(task)
        if not task.cancelled() and (exc := task.exception()) is not None:
            log.error("delivery requeued", exc_info=exc)

    async def _handle(self, delivery: Delivery) -> None:
        async with delivery as body:
            try:
                await self._attempt(JobMessage.decode(body), delivery)
            except InvalidMessage as exc:
                log.warning("message goes to the dead letters", job_id=exc.job_id, reason=str(exc))
                self._place.metrics.dead_letters.inc()
                await self._tell(exc)
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
                await asyncio.sleep(RETRY_SECONDS)  # it is requeued and would come back at once
                raise

    async def _let_rest(self) -> None:
        """Before it is requeued; a worker that stops meanwhile has nothing to wait for."""
        self._begun.discard(cast("asyncio.Task[None]", asyncio.current_task()))
        await asyncio.sleep(LASTING_SECONDS)

    async def _attempt(self, message: JobMessage, delivery: Delivery) -> None:
        structlog.contextvars.bind_contextvars(job_id=message.job_id)
        tracer = self._place.tracer
        attributes = message_attributes("process", message) if tracer.enabled else None
        with tracer.span("process studio.jobs", "consumer", delivery.headers, attributes):
            await self._attempt_once(message, delivery)

    async def _attempt_once(self, message: JobMessage, delivery: Delivery) -> None:
        while (ended := self._in_hand.get(message.job_id)) is not None:
            # Delivered again after a reconnection while we are at it: `begin` tells how it ended.
            await ended.wait()
        self._in_hand[message.job_id] = asyncio.Event()
        try:
            task = cast("asyncio.Task[None]", asyncio.current_task())
            attempt = Attempt(message, delivery.deliveries, self._place, bulk=delivery.bulk)
            await attempt.run(on_begin=lambda: self._begun.add(task))
        finally:
            self._in_hand.pop(message.job_id).set()

    async def _tell(self, fault: InvalidMessage) -> None:
        """Whoever waits for the job, where the message says whose it is."""
        try:
            if fault.job_id is not None:
                await self._fail(fault.job_id)
        except StorageDenied:
            log.exception("manifest not written, the job is known for as long as its record is")
        except BackendUnavailable:
            await asyncio.sleep(RETRY_SECONDS)  # as for every other delivery that is requeued
            raise

    async def _fail(self, job_id: str) -> None:
        statuses = self._place.backends.statuses
        error = JobError(code="invalid-message", message="the job's message cannot be understood by this worker")
        await statuses.finish(Lease.of_gateway(job_id), Outcome(State.FAILED, error=error))
        try:
            record = await statuses.get(job_id)
        except JobNotFound:
            return
        if record.state.terminal:
            await Manifests(self._place.backends.objects).write(record)

    async def _drain(self, hurry: asyncio.Event) -> None:
        """Give back what was not begun, finish what was, hand back what is not finished in time or when in a hurry."""
        self._cancel_waiting()
        # Whoever bears the loss of the thread must get to say so, or it would be lost to the next worker as well.
        grace = (
            self._grace_seconds if self._place.batcher.loss is None else max(self._grace_seconds, LAST_WORDS_SECONDS)
        )
        if self._tasks:
            log.info("draining", jobs=len(self._tasks), grace_seconds=grace)
            ends = [asyncio.create_task(work) for work in (_done({*self._tasks}), _wait(hurry))]
            await asyncio.wait(ends, timeout=grace, return_when=asyncio.FIRST_COMPLETED)
            for end in ends:
                end.cancel()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=LAST_WORDS_SECONDS)

    def _cancel_waiting(self) -> None:
        for task in self._tasks - self._begun:
            task.cancel()


async def _done(tasks: set[asyncio.Task[None]]) -> None:
    await asyncio.wait(tasks)


async def _wait(event: asyncio.Event) -> None:
    await event.wait()
