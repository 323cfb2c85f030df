"""A job's seat in the batcher: its turn comes, it says whether it goes on, and gets what was made for it."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from services.common.schemas import Progress
from services.inference.batching.aftermath import Aftermath
from services.inference.job.heartbeat import Heartbeat
from services.inference.runtime.adapter import Cancelled
from services.inference.runtime.outputs import Output, Preview
from services.inference.runtime.stages import Stages


class BatchRequest:
    """An async context manager: entered when the job's turn comes, and whoever leaves it wants nothing more.

    It is for `count` things of one job. Its holder begins the job inside and then either awaits `outputs` or leaves;
    the batch waits for one of the two. Whoever has left says when the job is `over`. The turn of a job that is `alone`
    comes when all others are.
    """

    def __init__(self, count: int, heartbeat: Heartbeat, aftermath: Aftermath, *, alone: bool) -> None:
        self.second_try = False
        self.calls: list[Stages] = []  # that made something for it
        self._count = count
        self._heartbeat = heartbeat
        self._aftermath = aftermath
        self.alone = alone
        self._turn = asyncio.Event()
        self._settled = asyncio.Event()
        self._gone = False
        self._made: dict[int, Output] = {}
        self._result: asyncio.Future[list[Output]] = asyncio.get_running_loop().create_future()
        self._step = 0
        self._showing: Callable[[int, Preview], object] = lambda _index, _picture: None
        # Whatever becomes of the work, nobody is left waiting for what is not wanted any more.
        heartbeat.when_unwanted(lambda: self.fail(Cancelled()))

    @property
    def wanted(self) -> bool:
        """Plain flags, so that the model thread may ask after every step."""
        return not self._gone and self._heartbeat.wanted

    @property
    def begun(self) -> bool:
        """Or about to be: its turn has come, and it has not left."""
        return self._turn.is_set() and not self._gone

    async def __aenter__(self) -> Self:
        try:
            await self._turn.wait()
            if self.alone:
                await self._aftermath.over()
        except asyncio.CancelledError:
            self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._aftermath.enter()
        self._leave()

    def over(self) -> None:
        """Once, by whoever had entered it."""
        self._aftermath.leave()

    async def outputs(self) -> list[Output]:
        """One per item. Raises Cancelled once the heartbeat says so, ThreadLost, or what the adapter raised."""
        self._settled.set()
        return await self._result

    def call(self) -> None:
        self._turn.set()

    @property
    def settled(self) -> bool:
        """The called job has begun and waits for its outputs, or has left."""
        return self._settled.is_set()

    async def settle(self) -> None:
        """Return when the called job is settled."""
        await self._settled.wait()

    def report(self, step: int, total: int, count: int) -> None:
        """`step` of `total` is done of a call for `count` of the items; never less than was said before."""
        self._step = max(self._step, len(self._made) * total + step * count)
        self._heartbeat.report(Progress(step=self._step, total=self._count * total))

    def when_shown(self, call: Callable[[int, Preview], object]) -> None:
        """Have `call` called with the item's index and a preview of it, whenever there is one."""
        self._showing = call

    def show(self, index: int, picture: Preview) -> None:
        if self.wanted:
            self._showing(index, picture)

    def deliver(self, index: int, output: Output, call: Stages) -> None:
        self._made[index] = output
        if call not in self.calls:
            self.calls.append(call)
        if len(self._made) == self._count and not self._result.done():
            self._result.set_result([self._made[number] for number in range(self._count)])

    def fail(self, exc: Exception) -> None:
        if not self._result.done():
            self._result.set_exception(exc)

    def _leave(self) -> None:
        self._gone = True
        self._settled.set()
        if not self._result.cancel() and not self._result.cancelled():
            self._result.exception()  # seen, so that asyncio does not complain of one nobody asked for
