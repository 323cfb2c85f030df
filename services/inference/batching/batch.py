"""The works of one call of the model thread."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from services.inference.batching.request import BatchRequest
from services.inference.batching.throttle import PreviewThrottle
from services.inference.batching.work import Work
from services.inference.runtime.adapter import Context, Item
from services.inference.runtime.outputs import Preview
from services.inference.runtime.stages import Stages


class Batch(list[Work]):
    """Not changed while its call is under way: the model thread reads it. The last step done sets `ending`."""

    def __init__(self, works: Iterable[Work] = ()) -> None:
        super().__init__(works)
        self.ending = asyncio.Event()

    @property
    def alone(self) -> bool:
        return any(work.alone for work in self)

    @property
    def items(self) -> list[Item]:
        return [work.item for work in self]

    @property
    def jobs(self) -> list[str]:
        """Ids of those that asked first."""
        return sorted({work.item.job_id for work in self})

    def seats(self) -> Counter[BatchRequest]:
        """Every seat it is made for, and how many of its works are for it."""
        return Counter(seat for work in self for seat, _ in work.seats)

    async def begin(self) -> None:
        """Call the jobs, and return when each has begun or left, also those that ask for the same meanwhile."""
        for seat in self.seats():
            seat.call()
        while unsettled := [seat for seat in self.seats() if not seat.settled]:
            await unsettled[0].settle()

    def context(self, stages: Stages) -> Context:
        """What the adapter is handed with the items; made on the event loop, used in the model thread."""
        loop, shutter = asyncio.get_running_loop(), PreviewThrottle()

        def progress(step: int, total: int, preview: Callable[[], Sequence[Preview]] | None = None, /) -> None:
            pictures = () if preview is None or step >= total else shutter.pictures(preview)
            loop.call_soon_threadsafe(self._report, step, total, pictures)

        def cancelled(job_id: str) -> bool:
            return not any(work.wanted for work in self if work.item.job_id == job_id)

        return Context(progress=progress, cancelled=cancelled, stage=stages.enter)

    def _report(self, step: int, total: int, pictures: Sequence[Preview]) -> None:
        if step >= total:
            self.ending.set()
        for seat, count in self.seats().items():
            seat.report(step, total, count)
        for work, picture in zip(self, pictures, strict=False):
            for seat, index in work.seats:
                seat.show(index, picture)
