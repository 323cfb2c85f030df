"""A batch: the items of one call of the model thread, and the way back from the call to their jobs."""

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import structlog

from services.common.errors import HandedBack, ThreadLost
from services.common.schemas import JobWarning
from services.inference.batching.request import BatchRequest
from services.inference.batching.served_model import ServedModel
from services.inference.batching.throttle import PreviewThrottle
from services.inference.runtime.adapter import Context, Item
from services.inference.runtime.outputs import Preview
from services.inference.runtime.stages import Stages


@dataclass(frozen=True, eq=False)
class BatchItem:
    """Item `index` of a request. Items with equal `key` may share a call: see `BatchScheduler.add`."""

    request: BatchRequest
    index: int
    model: ServedModel
    key: tuple[Hashable, Hashable]

    @property
    def item(self) -> Item:
        return self.request.items[self.index]

    @property
    def wanted(self) -> bool:
        return self.request.wanted


class Batch(list[BatchItem]):
    """The items of one call, all of one model. It does not change during the call: the model thread reads it."""

    @property
    def model(self) -> ServedModel:
        return self[0].model

    @property
    def items(self) -> list[Item]:
        return [each.item for each in self]

    @property
    def job_ids(self) -> list[str]:
        return sorted({each.item.job_id for each in self})

    def requests(self) -> Counter[BatchRequest]:
        """The requests that have items in this batch, and how many."""
        return Counter(each.request for each in self)

    def wanted(self) -> "Batch":
        """The items whose jobs still want them."""
        return Batch(each for each in self if each.wanted)

    async def begin(self) -> None:
        """Call the jobs, and return when each of them has begun or withdrawn."""
        for request in self.requests():
            request.call()
        for request in self.requests():
            await request.settled()

    async def make(self, ending: asyncio.Event) -> Stages:
        """Call the model thread for this batch, hand each job its outputs, and return the stages of the call.

        `ending` is set by the last step of the call. Raise what `ModelExecutor.generate` raises.
        """
        items, stages = self.items, Stages()
        with self.model.timings.call(items), structlog.contextvars.bound_contextvars(job_ids=self.job_ids):
            outputs = await self.model.executor.generate(items, self._context(stages, ending))
        for each, output in zip(self, outputs, strict=True):
            each.request.deliver(each.index, output, stages)
        return stages

    def give_up(self, kind: type[ThreadLost], reason: str) -> ThreadLost:
        """Fail the jobs of a call that lost the thread, and return the loss.

        A job that asked for the whole call is at fault. Where it asked for a part, the fault may be another's: the
        job is handed back.
        """
        for request, count in self.requests().items():
            at_fault = count == len(self)
            request.fail(kind(f"the job {reason}") if at_fault else HandedBack(f"its batch {reason}"))
        return kind(f"a call {reason}")

    def _note(self, job_id: str, warning: JobWarning) -> None:
        for request in self.requests():
            if request.items[0].job_id == job_id:
                request.warn(warning)

    def _context(self, stages: Stages, ending: asyncio.Event) -> Context:
        """Return the context of the call, made on the event loop and used in the model thread."""
        loop, throttle = asyncio.get_running_loop(), PreviewThrottle()

        def progress(step: int, total: int, preview: Callable[[], Sequence[Preview]] | None = None, /) -> None:
            previews = () if preview is None or step >= total else throttle.previews(preview)
            loop.call_soon_threadsafe(report, step, total, previews)

        def report(step: int, total: int, previews: Sequence[Preview]) -> None:
            if step >= total:
                ending.set()
            for request, count in self.requests().items():
                request.report(step, total, count)
            for each, preview in zip(self, previews, strict=False):
                each.request.show(each.index, preview)

        def warn(job_id: str, code: str, message: str) -> None:
            loop.call_soon_threadsafe(self._note, job_id, JobWarning(code=code, message=message))

        def cancelled(job_id: str) -> bool:
            return not any(each.wanted for each in self if each.item.job_id == job_id)

        return Context(progress=progress, cancelled=cancelled, stage=stages.enter, warn=warn)
