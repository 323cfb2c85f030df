"""The batcher: it calls the model thread for one batch after another, and keeps each job's failure to that job."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress

import structlog

from services.common.errors import DeadlineExceeded, DeviceFailed, GenerationError, HandedBack, OutOfMemory, ThreadLost
from services.inference.batching.batch import Batch
from services.inference.batching.request import BatchRequest
from services.inference.batching.scheduler import BatchScheduler
from services.inference.batching.timings import CallTimings
from services.inference.batching.window import WINDOW_SECONDS, BatchWindow
from services.inference.job.heartbeat import Heartbeat
from services.inference.job.metrics import Metrics
from services.inference.runtime.adapter import Cancelled, Item
from services.inference.runtime.executor import ModelExecutor
from services.inference.runtime.outputs import Preview

log = structlog.get_logger(__name__)


class Batcher:
    """Owns the one loop that forms batches and makes them. Enter `running`; then jobs may enter a `request` each.

    The life of a batch: the scheduler picks items, their jobs are called and begin, the model thread makes the batch,
    and each job gets its outputs. The next batch is formed while the last outputs of this one are made, so the thread
    does not wait for jobs to begin.

    Once the model thread is `lost`, `loss` says how, nothing more is made, and the worker has to leave. No job may
    bear that loss: the job that hung may have been canceled.
    """

    def __init__(
        self,
        executor: ModelExecutor,
        metrics: Metrics,
        *,
        deadline_seconds: float,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self.max_batch = executor.adapter.max_batch
        self.timings = CallTimings()
        self.deadline_seconds = deadline_seconds
        self.lost = asyncio.Event()
        self.loss: ThreadLost | None = None
        self._executor = executor
        self._metrics = metrics
        self._scheduler = BatchScheduler(executor.adapter, BatchWindow(window_seconds))
        self._requests: set[BatchRequest] = set()
        self._changed = asyncio.Event()  # the scheduler may have another answer

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Form and make batches while the block runs. A fault of the loop cancels the block."""
        task, user = asyncio.create_task(self._run()), asyncio.current_task()

        def ended(_: object) -> None:
            if user is not None and not task.cancelled() and task.exception() is not None:
                user.cancel()  # it would wait for ever

        task.add_done_callback(ended)
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()

    def request(
        self,
        items: Sequence[Item],
        heartbeat: Heartbeat,
        *,
        redelivered: bool = False,
        bulk: bool = False,
        show: Callable[[int, Preview], object] = lambda _index, _preview: None,
    ) -> BatchRequest:
        """Return a request for a job's items, to be entered. `show` is called with previews and their items' index.

        If the adapter has no batch key for an item, the request is called at once and its outputs raise that.
        """
        request = BatchRequest(items, heartbeat, redelivered=redelivered, bulk=bulk, show=show, on_exit=self._on_exit)
        self._requests.add(request)
        try:
            self._scheduler.add(request)
        except Exception as exc:  # noqa: BLE001 - an adapter's mistake ends this job and no other
            request.fail(exc)
            request.call()
        self._changed.set()
        return request

    def _on_exit(self, request: BatchRequest) -> None:
        self._requests.discard(request)
        self._scheduler.remove(request)
        self._changed.set()

    async def _run(self) -> None:
        """Make one batch after another until the thread is lost."""
        batch = await self._form()
        while True:
            ending = asyncio.Event()
            following = asyncio.create_task(self._form(ending))
            self._scheduler.call_began(batch)
            try:
                await self._make(batch.wanted(), ending)
                self._scheduler.call_ended(self._now())
                self._changed.set()
                ending.set()
                batch = await following
            except ThreadLost as exc:
                self._lose(exc)
                return
            finally:
                following.cancel()

    async def _form(self, ending: asyncio.Event | None = None) -> Batch:
        """Form the next batch, with every job of it begun; begin with that once the call under way is `ending`.

        Jobs join round after round, as they come, while those before them begin.
        """
        if ending is not None:
            await ending.wait()
        batch = Batch()
        while True:
            self._changed.clear()
            found = self._scheduler.next(self._now(), batch)
            if isinstance(found, list):
                await Batch(found).begin()
                batch = Batch([*batch, *found])
                if not batch.wanted():
                    batch = Batch()  # every job of it withdrew; until then they take up room, so that rounds end
            elif batch and found <= self._now():
                return batch
            else:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(None if math.isinf(found) else found):
                        await self._changed.wait()

    async def _make(self, batch: Batch, ending: asyncio.Event) -> None:
        """Make a batch, in smaller parts after a call that fails. Raise ThreadLost."""
        parts, failed_before = [batch], False
        while parts:
            part = parts.pop(0)
            if failed_before:
                part = part.wanted()  # jobs may have left during the calls before
            if not part:
                continue
            try:
                # The first jobs of the next batch begin beside the last steps of a whole batch, not beside its parts.
                await self._call(part, asyncio.Event() if failed_before else ending)
            except ThreadLost:
                raise
            except Exception as exc:  # noqa: BLE001 - an adapter may raise anything, and the job's attempt logs it
                parts = [*self._smaller(part, exc, failed_before=failed_before), *parts]
                failed_before = True

    async def _call(self, batch: Batch, ending: asyncio.Event) -> None:
        """Call the model once, within the deadline. Raise ThreadLost, or the adapter's exception."""
        self._metrics.calls.inc()
        self._metrics.batch_size.observe(len(batch))
        began = self._now()
        try:
            async with asyncio.timeout(self.deadline_seconds):
                stages = await batch.make(self._executor, self.timings, ending)
        except TimeoutError as exc:
            took = f"took longer than {self.deadline_seconds:g} seconds"
            raise batch.give_up(DeadlineExceeded, took) from exc
        except DeviceFailed as exc:
            raise batch.give_up(DeviceFailed, f"broke off: {exc}") from exc
        self._metrics.called(len(batch), self._now() - began, stages.so_far())

    def _smaller(self, batch: Batch, exc: Exception, *, failed_before: bool) -> list[Batch]:
        """Return the parts of a failed batch to try again; without any, its jobs fail.

        Halves may fit where the whole did not, and they keep one job's fault from the others.
        """
        if not batch.wanted():
            return []
        out_of_memory, half = isinstance(exc, OutOfMemory), (len(batch) + 1) // 2
        if len(batch) > 1 and (out_of_memory or len(batch.job_ids) > 1):
            log.warning("batch halved", size=len(batch), reason=type(exc).__name__)
            if out_of_memory:
                self._scheduler.limit(batch[0], half)
            return [Batch(batch[:half]), Batch(batch[half:])]
        if out_of_memory and not failed_before:
            return [batch]  # the memory that others had cached is free now
        if isinstance(exc, Cancelled):
            exc = GenerationError("the model stopped although the job was not canceled")
        for request in batch.requests():
            request.fail(exc)
        return []

    def _lose(self, loss: ThreadLost) -> None:
        """End every job: nothing more is made. Jobs that were not called keep waiting for the worker to leave."""
        for request in self._requests:
            request.fail(HandedBack(str(loss)))
        self.loss = loss
        self.lost.set()

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()
