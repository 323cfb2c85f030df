"""One attempt at one job: the worker's side of the protocol, from `begin` to the manifest.

Every step can be repeated by the next attempt, so a crash between any two of them costs work but never a job.
"""

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import replace

import structlog

from services.common.errors import DeviceFailed, GenerationError, HandedBack, InvalidMessage, ThreadLost
from services.common.ports import RELEASED, Outcome, Verdict
from services.common.schemas import JobMessage, Progress, State
from services.inference.batching.request import BatchRequest
from services.inference.job.heartbeat import Heartbeat
from services.inference.job.inputs import fetch_inputs
from services.inference.job.items import items_of
from services.inference.job.lease import JobLease
from services.inference.job.outcomes import CANCELED, FAILED, POISON, failed
from services.inference.runtime.adapter import Cancelled
from services.inference.runtime.outputs import Output
from services.inference.worker.artifact_writer import ArtifactWriter
from services.inference.worker.previews import Previews
from services.inference.worker.worker_runtime import WorkerRuntime

log = structlog.get_logger(__name__)

HAND_BACK_SECONDS = 3.0
DEVICE_ATTEMPTS = 2  # of a job that breaks the device when it runs alone: the device itself may be at fault


class Attempt:
    def __init__(self, message: JobMessage, deliveries: int, runtime: WorkerRuntime, *, bulk: bool = False) -> None:
        """Raise InvalidMessage for a message that the gateway would have refused."""
        max_attempts = runtime.settings.max_attempts
        self._items = items_of(message, runtime.model, runtime.catalogue)
        self._lease = JobLease(runtime.backends, message, silent_seconds=runtime.settings.status_lease_seconds)
        self._heartbeat = Heartbeat(self._lease)
        self._previews = Previews(
            runtime.cache, message.job_id, self._heartbeat.shown, call_seconds=runtime.batcher.deadline_seconds
        )
        self._runtime = runtime
        self._bulk = bulk
        self._device_attempts = min(DEVICE_ATTEMPTS, max_attempts)
        # A worker may have gone down with it, and it cannot be told whether it was this job or a batch mate.
        self._redelivered = deliveries > 0
        self.called = False  # its turn has come
        self._begun = False  # and not ended: there may be an attempt to hand back
        self._begun_at = 0.0  # on time.perf_counter

    @property
    def job_id(self) -> str:
        return self._lease.message.job_id

    async def run(self) -> None:
        """Return when the message may be acked.

        Raise InvalidMessage for a job that used up its attempts (to the dead letters), and ThreadLost when the worker
        must leave: the outcome is stored then, except for HandedBack, after which the job is tried again, alone.
        """
        try:
            while not await self._take_turn():
                self.called, self._begun, self._redelivered = False, False, True
        except (asyncio.CancelledError, HandedBack):
            await self._hand_back()
            raise

    async def _take_turn(self) -> bool:
        """Wait for a call of the model, begin the job and end it. Return False if another attempt holds its lease."""
        if self._redelivered and await self._lease.wait_for_holder():
            await self._without_outputs(Verdict.LOST)
            return True
        async with AsyncExitStack() as stack:
            request = await stack.enter_async_context(self._request())
            self.called = True
            verdict = await self._begin(stack)
            if verdict is Verdict.BUSY:
                request.withdraw()
                return False
            outcome = await self._outcome(verdict, request)
            if outcome is not None:
                await self._finish(outcome)
        if outcome is POISON:
            raise InvalidMessage("attempts used up", self._lease.message.job_id)
        return True

    def _request(self) -> BatchRequest:
        return self._runtime.batcher.request(
            self._runtime.served,
            self._items,
            self._heartbeat,
            redelivered=self._redelivered,
            bulk=self._bulk,
            show=self._previews.show,
        )

    async def _outcome(self, verdict: Verdict, request: BatchRequest) -> Outcome | None:
        """Make the job that was begun. Return how it ends, or None when it is not ours to end."""
        if verdict is not Verdict.HELD:
            request.withdraw()
            return await self._without_outputs(verdict)
        made = await self._unfetched(request) or await self._generate(request)
        outcome = await self._store(made) if isinstance(made, list) else made
        return replace(outcome, warnings=(*request.warnings, *outcome.warnings))

    async def _begin(self, stack: AsyncExitStack) -> Verdict:
        self._begun = True
        verdict = await self._lease.begin()
        self._begun_at = time.perf_counter()
        self._runtime.metrics.begun(self._lease.message, verdict, first=not self._redelivered)
        self._runtime.failpoints.reach("worker.begun")
        log.info("job begun", verdict=verdict.name.lower())
        if verdict.gives_lease:
            stack.push_async_callback(self._previews.clear)
            await stack.enter_async_context(self._heartbeat.beating())
        return verdict

    async def _without_outputs(self, verdict: Verdict) -> Outcome | None:
        """Return how a job ends that is not made, or None when it is not ours to end."""
        match verdict:
            case Verdict.CANCEL:
                return CANCELED
            case Verdict.EXHAUSTED:
                return POISON
            case Verdict.LOST:
                ended = await self._lease.restore()
                # Delivered again: the worker that ended it died before it rejected the message. Another message of the
                # job makes no second dead letter.
                if self._redelivered and ended and ended.error and ended.error.code == "poison":
                    raise InvalidMessage("attempts used up", ended.job_id)
        return None

    async def _unfetched(self, request: BatchRequest) -> Outcome | None:
        """Fetch what the job is made from. Return how the job ends without it; its batch goes on then."""
        inputs = self._lease.message.inputs
        if not inputs:
            return None
        try:
            with self._runtime.tracer.span("fetch"):
                request.give(await fetch_inputs(self._runtime.backends.objects, inputs))
        except GenerationError as exc:
            request.withdraw()
            log.warning("inputs not fetched", code=exc.code, reason=str(exc))
            return failed(exc.code, str(exc), retryable=exc.retryable)
        self._runtime.failpoints.reach("worker.fetched")
        return None

    async def _generate(self, request: BatchRequest) -> list[Output] | Outcome:
        try:
            with self._runtime.tracer.span("generate"):
                outputs = await request.outputs()
                for stage in [stage for call in request.calls for stage in call.so_far()]:
                    self._runtime.tracer.past(stage.name, stage.begin, stage.end)
        except Cancelled:
            return CANCELED
        except HandedBack:
            raise
        except ThreadLost as exc:
            # The thread cannot be mended: the outcome is stored while nothing else uses it, then the worker leaves.
            self._heartbeat.stopped = True
            if isinstance(exc, DeviceFailed) and await self._lease.attempts() < self._device_attempts:
                self._begun = False  # unlike batch mates it is charged: this attempt counts
                raise HandedBack(str(exc)) from exc
            await self._finish(failed(exc.code, str(exc), retryable=exc.retryable))
            raise
        except GenerationError as exc:
            log.warning("generation failed", code=exc.code, reason=str(exc))
            return failed(exc.code, str(exc), retryable=exc.retryable)
        except Exception:
            log.exception("generation failed")
            return FAILED
        self._runtime.failpoints.reach("worker.generated")
        return outputs

    async def _store(self, outputs: list[Output]) -> Outcome:
        self._heartbeat.report(Progress(phase="saving", step=len(outputs), total=len(outputs)))
        outcome = await ArtifactWriter(self._runtime).write(self._items, outputs)
        if outcome.state is State.SUCCEEDED:
            self._runtime.failpoints.reach("worker.stored")
        return outcome

    async def _finish(self, outcome: Outcome) -> None:
        verdict = await self._lease.finish(outcome)
        self._begun = False
        self._runtime.failpoints.reach("worker.finished")
        if verdict is Verdict.HELD:
            self._runtime.metrics.finished(outcome, time.perf_counter() - self._begun_at)
            failed = {"error.type": outcome.error.code} if outcome.error else {}
            self._runtime.tracer.note({"studio.outcome": outcome.state.value, **failed})
        if self._lease.removed:
            await self._lease.clear()
        elif verdict is Verdict.HELD:
            await self._lease.archive(outcome)
        else:
            log.warning("job was taken over, nothing of ours is kept", verdict=verdict.name.lower())
        self._runtime.failpoints.reach("worker.archived")
        warnings = [warning.code for warning in outcome.warnings]
        log.info("job finished", state=outcome.state, error=outcome.error and outcome.error.code, warnings=warnings)

    async def _hand_back(self) -> None:
        """Release the attempt, so that the job is not charged for a worker that stops."""
        self._heartbeat.stopped = True
        if not self._begun:
            return
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS):
                await self._lease.finish(RELEASED)
            log.info("job handed back")
        except TimeoutError:
            log.warning("job not handed back in time; its next attempt counts")
