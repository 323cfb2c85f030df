"""One attempt at one job: the worker's side of the protocol, from `begin` to the manifest.

Every step can be repeated by the next attempt, so a crash between any two of them costs work but never a job.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog

from services.common.errors import DeviceFailed, GenerationError, HandedBack, InvalidMessage, ThreadLost
from services.common.ports import RELEASED, Outcome, Verdict
from services.common.schemas import JobMessage, Progress, State
from services.inference.batching.request import BatchRequest
from services.inference.job.heartbeat import Heartbeat
from services.inference.job.items import items_of
from services.inference.job.lease import JobLease
from services.inference.job.outcomes import CANCELED, FAILED, POISON, failed
from services.inference.runtime.adapter import Cancelled
from services.inference.runtime.outputs import Output
from services.inference.worker.artifact_writer import ArtifactWriter
from services.inference.worker.context import WorkerContext
from services.inference.worker.previews import Previews

log = structlog.get_logger(__name__)

HAND_BACK_SECONDS = 3.0
DEVICE_ATTEMPTS = 2  # of a job that breaks the device when it is alone: perhaps it is the device's own fault


class Attempt:
    def __init__(self, message: JobMessage, deliveries: int, place: WorkerContext, *, bulk: bool = False) -> None:
        self._items = items_of(message, place.model, place.catalogue)
        self._claim = JobLease(place.backends, message, deliveries, max_attempts=place.max_attempts)
        self._heartbeat = Heartbeat(self._claim)
        self._previews = Previews(
            place.cache, message.job_id, self._heartbeat.shown, call_seconds=place.batcher.deadline_seconds
        )
        self._place = place
        self._bulk = bulk
        self._device_attempts = min(DEVICE_ATTEMPTS, place.max_attempts)
        # A worker may have gone down with it, and then nobody knows whether it was this job or a batch mate.
        self._suspect = deliveries > 0
        self._begun = False  # and not ended: there may be an attempt to hand back
        self._begun_at = 0.0  # on time.perf_counter

    async def run(self, on_begin: Callable[[], object]) -> None:
        """Return when the message may be acked; `on_begin` is called when the job's turn has come.

        Raises InvalidMessage for a job that used up its attempts (to the dead letters), and ThreadLost when the worker
        must leave: the outcome is stored then, but for HandedBack, after which the job is tried again, alone.
        """
        try:
            async with AsyncExitStack() as beating:
                beating.push_async_callback(self._previews.clear)
                batcher, alone, bulk = self._place.batcher, self._suspect, self._bulk
                async with batcher.seat(self._items, self._heartbeat, alone=alone, bulk=bulk) as seat:
                    beating.callback(seat.over)
                    on_begin()
                    seat.when_shown(self._previews.show)
                    verdict = await self._begin(beating)
                    found = await self._generate(seat) if verdict is Verdict.HELD else None
                if verdict is not Verdict.HELD:
                    outcome = await self._without_outputs(verdict)
                else:
                    outcome = await self._store(found) if isinstance(found, list) else found
                if outcome is not None:
                    await self._finish(outcome)
        except (asyncio.CancelledError, HandedBack):
            await self._hand_back()
            raise
        if outcome is POISON:
            raise InvalidMessage("attempts used up", self._claim.message.job_id)

    async def _begin(self, beating: AsyncExitStack) -> Verdict:
        self._begun = True
        verdict = await self._claim.begin()
        self._begun_at = time.perf_counter()
        self._place.metrics.begun(self._claim.message, verdict, first=not self._suspect)
        self._place.failpoints.reach("worker.begun")
        log.info("job begun", verdict=verdict.name.lower())
        if verdict in (Verdict.HELD, Verdict.CANCEL, Verdict.EXHAUSTED):
            await beating.enter_async_context(self._heartbeat.beating())
        return verdict

    async def _without_outputs(self, verdict: Verdict) -> Outcome | None:
        """How a job ends that is not to be made, or None when it is not ours to end."""
        match verdict:
            case Verdict.CANCEL:
                return CANCELED
            case Verdict.EXHAUSTED:
                return POISON
            case Verdict.LOST:
                ended = await self._claim.restore()
                if ended is not None and ended.error is not None and ended.error.code == "poison":
                    raise InvalidMessage("attempts used up", ended.job_id)
        return None

    async def _generate(self, seat: BatchRequest) -> list[Output] | Outcome:
        try:
            with self._place.tracer.span("generate"):
                outputs = await seat.outputs()
                for stage in [stage for call in seat.calls for stage in call.so_far()]:
                    self._place.tracer.past(stage.name, stage.begin, stage.end)
        except Cancelled:
            return CANCELED
        except HandedBack:
            raise
        except ThreadLost as exc:
            # Nobody can mend a thread: the outcome is stored while nothing else uses it, then the worker leaves.
            self._heartbeat.stopped = True
            if isinstance(exc, DeviceFailed) and await self._claim.attempts() < self._device_attempts:
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
        self._place.failpoints.reach("worker.generated")
        return outputs

    async def _store(self, outputs: list[Output]) -> Outcome:
        self._heartbeat.report(Progress(phase="saving", step=len(outputs), total=len(outputs)))
        outcome = await ArtifactWriter(self._place).keep(self._items, outputs)
        if outcome.state is State.SUCCEEDED:
            self._place.failpoints.reach("worker.stored")
        return outcome

    async def _finish(self, outcome: Outcome) -> None:
        verdict = await self._claim.finish(outcome)
        self._begun = False
        self._place.failpoints.reach("worker.finished")
        if verdict is Verdict.HELD:
            self._place.metrics.finished(outcome, time.perf_counter() - self._begun_at)
            failed = {"error.type": outcome.error.code} if outcome.error else {}
            self._place.tracer.note({"studio.outcome": outcome.state.value, **failed})
        if self._claim.removed:
            await self._claim.clear()
        elif verdict is Verdict.HELD:
            await self._claim.archive(outcome)
        else:
            log.warning("job was taken over, nothing of ours is kept", verdict=verdict.name.lower())
        self._place.failpoints.reach("worker.archived")
        log.info("job finished", state=outcome.state, error=outcome.error and outcome.error.code)

    async def _hand_back(self) -> None:
        """A worker that stops does not charge the job for it."""
        self._heartbeat.stopped = True
        if not self._begun:
            return
        try:
            async with asyncio.timeout(HAND_BACK_SECONDS):
                await self._claim.finish(RELEASED)
            log.info("job handed back")
        except TimeoutError:
            log.warning("job not handed back in time; its next attempt counts")
