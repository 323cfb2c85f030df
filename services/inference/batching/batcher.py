"""Calls the model thread for one batch after another, and sees to it that what befalls one job befalls no other."""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import structlog

from services.common.errors import DeadlineExceeded, DeviceFailed, GenerationError, HandedBack, OutOfMemory, ThreadLost
from services.inference.batching.batch import Batch
from services.inference.batching.request import BatchRequest
from services.inference.batching.scheduler import BatchScheduler
from services.inference.batching.timings import CallTimings
from services.inference.job.heartbeat import Heartbeat
from services.inference.job.metrics import Metrics
from services.inference.runtime.adapter import Cancelled, Item
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.outputs import Output
from services.inference.runtime.stages import Stages

log = structlog.get_logger(__name__)


class Batcher:
    """Use `running` around everything else; then any number of jobs may take a `seat` at a time.

    Once the model thread is `lost`, `loss` says how, and nothing more is made: whoever uses this has to leave then. Not
    every loss is borne by a job: the one that hung may have been canceled, or have all its outputs.
    """

    def __init__(self, executor: ModelExecutor, metrics: Metrics, *, deadline_seconds: float) -> None:
        self.max_batch = executor.adapter.max_batch
        self.timings = CallTimings()
        self._executor = executor
        self._metrics = metrics
        self.deadline_seconds = deadline_seconds
        self.lost = asyncio.Event()
        self.loss: ThreadLost | None = None
        self._backlog = BatchScheduler(executor.adapter)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task, user = asyncio.create_task(self._run()), asyncio.current_task()

        def ended(_: object) -> None:
            if user is not None and not task.cancelled() and task.exception() is not None:
                user.cancel()  # a fault of ours ends the worker, which would wait for ever

        task.add_done_callback(ended)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    def seat(self, items: Sequence[Item], heartbeat: Heartbeat, *, alone: bool, bulk: bool = False) -> BatchRequest:
        """A seat for a job's items. `alone` keeps jobs that ask for anything else out of its calls."""
        return self._backlog.seat(items, heartbeat, alone=alone, bulk=bulk)

    async def _run(self) -> None:
        """Until the thread is lost, and the worker is about to leave."""
        batch = Batch()
        while self.loss is None:
            following = asyncio.create_task(self._following(batch))
            try:
                if batch:
                    with self._backlog.busy(batch):
                        await self._make(batch)
                batch.ending.set()
                batch = await following
                await batch.begin()  # also who has joined since it was made up: nothing is made that nobody holds
                batch = self._backlog.still_wanted(batch)
            except ThreadLost as exc:
                self._backlog.hand_back(HandedBack(str(exc)))
                self.loss = exc
                self.lost.set()
            finally:
                following.cancel()

    async def _following(self, batch: Batch) -> Batch:
        """The next batch, made up while the last of this one is: the thread is not to wait for jobs to be begun."""
        await batch.ending.wait()
        return await self._backlog.next_batch()

    async def _make(self, batch: Batch, *, again: bool = False) -> None:
        """Raises ThreadLost. `again`: some of it has been in a call that failed."""
        self._metrics.calls.inc()
        self._metrics.batch_size.observe(len(batch))
        try:
            await self._call(batch)
        except TimeoutError as exc:
            took = f"took longer than {self.deadline_seconds:g} seconds"
            raise self._give_up(batch, DeadlineExceeded, took) from exc
        except DeviceFailed as exc:
            raise self._give_up(batch, DeviceFailed, f"broke off: {exc}") from exc
        except Cancelled as exc:
            for seat in batch.seats():
                if not seat.wanted:
                    seat.fail(exc)
            # An identical job may have come at the last moment.
            self._try_again(batch, GenerationError("the model stopped although somebody waited"))
        except Exception as exc:  # noqa: BLE001 - whatever an adapter raises is a job's failure, and logged as that
            await self._make_less(batch, exc, again=again)

    async def _call(self, batch: Batch) -> None:
        now = asyncio.get_running_loop().time
        begin, stages = now(), Stages()
        named = structlog.contextvars.bound_contextvars(job_ids=batch.jobs)  # for what the adapter logs
        with named, self.timings.call(batch.items):
            async with asyncio.timeout(self.deadline_seconds):
                outputs = await self._executor.generate(batch.items, batch.context(stages))
        self._deliver(batch, outputs, stages)
        self._metrics.call_seconds.observe(now() - begin)
        self._metrics.staged(stages.so_far())

    def _give_up(self, batch: Batch, kind: type[ThreadLost], reason: str) -> ThreadLost:
        """Nobody can mend a thread, or tell whose fault it is where a job asked for only a part of the call."""
        for seat, count in batch.seats().items():
            guilty = count == len(batch)
            seat.fail(kind(f"the job {reason}") if guilty else HandedBack(f"its batch {reason}"))
        return kind(f"a call {reason}")

    def _deliver(self, batch: Batch, outputs: Sequence[Output], stages: Stages) -> None:
        self._backlog.forget(*batch)
        self._metrics.made.inc(len(batch))
        for work, output in zip(batch, outputs, strict=True):
            self._metrics.shared.inc(len(work.seats) - 1)
            for seat, index in work.seats:
                seat.deliver(index, output, stages)

    async def _make_less(self, batch: Batch, exc: Exception, *, again: bool) -> None:
        """Halve the batch: what does not fit does then, and one job's fault is not another's."""
        if len(batch) == 1 and isinstance(exc, OutOfMemory) and not again:
            # The memory that others had cached has been given back since.
            if wanted := self._backlog.still_wanted(batch):
                await self._make(wanted, again=True)
            return
        half = (len(batch) + 1) // 2
        if len(batch) > 1 and (len(batch.jobs) > 1 or isinstance(exc, OutOfMemory)):
            log.warning("batch halved", size=len(batch), reason=type(exc).__name__)
            if isinstance(exc, OutOfMemory):
                self._backlog.shrink(batch[0], half)
            for part in (batch[:half], batch[half:]):
                if wanted := self._backlog.still_wanted(part):
                    await self._make(wanted, again=True)
            return
        # Who asked first bears the failure; the others get one more try, together.
        to_blame = {next((seat for seat, _ in work.seats if seat.wanted), work.seats[0][0]) for work in batch}
        self._try_again(batch, exc, to_blame)

    def _try_again(self, batch: Batch, exc: Exception, to_blame: Collection[BatchRequest] = ()) -> None:
        """For seats that still want it and have not failed before; the others fail.

        Decided once for all of the call, since a job may share several of its works: it has failed once, not so often.
        """
        seats = batch.seats()
        again = [seat for seat in seats if seat.wanted and not seat.second_try and seat not in to_blame]
        for seat in seats:
            if seat in again:
                seat.second_try = True
            else:
                seat.fail(exc)
        self._backlog.forget(*batch)
        for work in reversed(batch):
            work.seats = tuple(pair for pair in work.seats if pair[0] in again)
            if work.seats:
                self._backlog.put_first(work)
