"""The calls of a model for one batch: within a deadline, and in smaller parts where the whole one fails."""

import asyncio
from collections.abc import Callable

import structlog

from services.common.errors import DeadlineExceeded, DeviceFailed, GenerationError, OutOfMemory, ThreadLost
from services.inference.batching.batch import Batch, BatchItem
from services.inference.batching.model_memory import ModelMemory
from services.inference.runtime.adapter import Cancelled

log = structlog.get_logger(__name__)


class BatchCalls:
    """Keeps each job's failure to that job. `limit` is told how many items like one fit into the memory.

    A call that runs out of memory beside other models is made again without them.
    """

    def __init__(self, deadline_seconds: float, memory: ModelMemory, limit: Callable[[BatchItem, int], object]) -> None:
        self._deadline_seconds = deadline_seconds
        self._memory = memory
        self._limit = limit

    async def make(self, batch: Batch, ending: asyncio.Event) -> None:
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
                if isinstance(exc, OutOfMemory) and await self._memory.unload_others(part.model):
                    parts = [part, *parts]
                    continue
                parts = [*self._smaller(part, exc, failed_before=failed_before), *parts]
                failed_before = True

    async def _call(self, batch: Batch, ending: asyncio.Event) -> None:
        """Call the model once, within the deadline. Raise ThreadLost, or the adapter's exception."""
        model, began = batch.model, asyncio.get_running_loop().time()
        model.used_at = began
        model.metrics.calls.inc()
        model.metrics.batch_size.observe(len(batch))
        try:
            async with asyncio.timeout(self._deadline_seconds):
                stages = await batch.make(ending)
        except TimeoutError as exc:
            took = f"took longer than {self._deadline_seconds:g} seconds"
            raise batch.give_up(DeadlineExceeded, took) from exc
        except DeviceFailed as exc:
            raise batch.give_up(DeviceFailed, f"broke off: {exc}") from exc
        model.metrics.called(len(batch), asyncio.get_running_loop().time() - began, stages.so_far())

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
                self._limit(batch[0], half)
            return [Batch(batch[:half]), Batch(batch[half:])]
        if out_of_memory and not failed_before:
            return [batch]  # the memory that others had cached is free now
        if isinstance(exc, Cancelled):
            exc = GenerationError("the model stopped although the job was not canceled")
        for request in batch.requests():
            request.fail(exc)
        return []
