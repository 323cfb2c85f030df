"""Brings waiting jobs together into calls of the model thread, and makes the same thing only once.

Things to make wait in the order they came. The oldest decides what the next call is: everything waiting with its batch
key joins it, up to the model's `max_batch`, so nothing is overtaken for ever and a job larger than the room is made in
several calls. A job is begun (its attempt counted) when its turn comes, not earlier.
"""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Hashable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from services.common.errors import OutOfMemory
from services.inference.adapter import Cancelled, Context, Item
from services.inference.executor import ModelExecutor
from services.inference.heartbeat import Heartbeat
from services.inference.items import identity_of
from services.inference.metrics import Metrics
from services.inference.outputs import Output
from services.inference.seat import Seat

log = structlog.get_logger(__name__)

WINDOW_SECONDS: Final = 0.01  # what more may come in, when others wait already and there is room


@dataclass(eq=False)
class _Work:
    """One thing to make, and the seats it is for with its index there: several where identical jobs wait.

    `seats` is replaced, never changed: the model thread reads it.
    """

    item: Item
    key: Hashable
    identity: Hashable
    seats: tuple[tuple[Seat, int], ...] = ()
    second_try: bool = False

    @property
    def wanted(self) -> bool:
        return any(seat.wanted for seat, _ in self.seats)


class Batcher:
    """Use `running` around everything else; then any number of jobs may take a `seat` at a time."""

    def __init__(self, executor: ModelExecutor, metrics: Metrics) -> None:
        self.max_batch = executor.adapter.max_batch
        self._executor = executor
        self._metrics = metrics
        self._waiting: list[_Work] = []
        self._works: dict[Hashable, _Work] = {}  # waiting or being made, by identity
        self._arrived = asyncio.Event()
        self._fitting: dict[Hashable, int] = {}  # by key, where less than `max_batch` fits into the memory

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self._run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    def seat(self, items: Sequence[Item], heartbeat: Heartbeat, *, alone: bool) -> Seat:
        """A seat for a job's items. `alone` keeps jobs that ask for anything else out of its calls."""
        seat = Seat(items, heartbeat)
        for index, item in enumerate(items):
            identity = identity_of(item)
            work = self._works.get(identity)
            if work is None:
                strict = item.params.reproducibility == "strict"
                company = identity if strict else item.job_id if alone else None
                key = self._executor.adapter.batch_key(item), company
                work = self._works[identity] = _Work(item, key, identity)
                self._waiting.append(work)
            elif work not in self._waiting:
                seat.crowded = any(other.crowded for other, _ in work.seats)
                seat.call()  # it is being made already
            work.seats += ((seat, index),)
        self._arrived.set()
        return seat

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            if batch := await self._next_batch():
                try:
                    await self._make(batch)
                except Exception as exc:  # a fault of ours must not stop the worker
                    log.exception("batch failed")
                    _fail_all(batch, exc)
                finally:
                    self._forget(work for work in batch if work not in self._waiting)

    async def _next_batch(self) -> list[_Work]:
        """What still is wanted once every job in it has begun; may be empty."""
        self._forget([work for work in self._waiting if not work.wanted])
        if not self._waiting:
            self._arrived.clear()
            return []
        if 1 < len(self._of_the_oldest()) < self._room(self._waiting[0]):
            await asyncio.sleep(WINDOW_SECONDS)
        batch = self._of_the_oldest()[: self._room(self._waiting[0])]
        self._waiting = [work for work in self._waiting if work not in batch]
        seats = {seat for work in batch for seat, _ in work.seats}
        for seat in seats:
            seat.call()
        for seat in seats:
            await seat.settled()
        self._forget([work for work in batch if not work.wanted])
        return [work for work in batch if work.wanted]

    def _of_the_oldest(self) -> list[_Work]:
        return [work for work in self._waiting if work.key == self._waiting[0].key]

    def _room(self, work: _Work) -> int:
        return self._fitting.get(work.key, self.max_batch)

    async def _make(self, batch: list[_Work]) -> None:
        jobs = sorted({work.item.job_id for work in batch})
        crowded = len(jobs) > 1
        for seat in _count(batch):
            seat.crowded = crowded
        self._metrics.calls.inc()
        self._metrics.batch_size.observe(len(batch))
        try:
            with structlog.contextvars.bound_contextvars(job_ids=jobs):  # for what the adapter logs
                outputs = await self._executor.generate([work.item for work in batch], self._context(batch))
        except Cancelled as exc:
            self._make_later([work for work in batch if work.wanted])  # an identical job came at the last moment
            _fail_all([work for work in batch if not work.wanted], exc)
        except Exception as exc:  # noqa: BLE001 - whatever the adapter raises is how its jobs end
            await self._make_less(batch, exc, crowded=crowded)
        else:
            self._deliver(batch, outputs)

    def _deliver(self, batch: list[_Work], outputs: list[Output]) -> None:
        for work, output in zip(batch, outputs, strict=True):
            self._works.pop(work.identity, None)
            self._metrics.made.inc()
            self._metrics.shared.inc(len(work.seats) - 1)
            for seat, index in work.seats:
                seat.deliver(index, output)

    async def _make_less(self, batch: list[_Work], exc: Exception, *, crowded: bool) -> None:
        """Halve the batch: what does not fit does then, and one job's fault is not another's."""
        half = len(batch) // 2
        if half and (crowded or isinstance(exc, OutOfMemory)):
            log.warning("batch halved", size=len(batch), reason=type(exc).__name__)
            if isinstance(exc, OutOfMemory):
                self._fitting[batch[0].key] = half
            for part in (batch[:half], batch[half:]):
                if wanted := [work for work in part if work.wanted]:
                    await self._make(wanted)
            return
        for work in batch:
            # Who asked first bears the failure; the others get one more try, together.
            (first, _), *others = [each for each in work.seats if each[0].wanted] or work.seats
            first.fail(exc)
            if others and not work.second_try:
                work.seats, work.second_try = tuple(others), True
                self._make_later([work])
            else:
                _fail_all([work], exc)

    def _make_later(self, works: list[_Work]) -> None:
        self._waiting = works + self._waiting
        self._arrived.set()

    def _context(self, batch: list[_Work]) -> Context:
        loop = asyncio.get_running_loop()

        def progress(step: int, total: int) -> None:
            loop.call_soon_threadsafe(_report, batch, step, total)

        def cancelled(job_id: str) -> bool:
            return not any(work.wanted for work in batch if work.item.job_id == job_id)

        return Context(progress=progress, cancelled=cancelled)

    def _forget(self, works: Iterable[_Work]) -> None:
        for work in list(works):
            if work in self._waiting:
                self._waiting.remove(work)
            if self._works.get(work.identity) is work:
                del self._works[work.identity]


def _report(batch: list[_Work], step: int, total: int) -> None:
    for seat, count in _count(batch).items():
        if seat.wanted:
            seat.report(step, total, count)
        else:
            seat.fail(Cancelled())  # ends now; its rows are computed with the others' and thrown away


def _count(batch: list[_Work]) -> Counter[Seat]:
    return Counter(seat for work in batch for seat, _ in work.seats)


def _fail_all(works: list[_Work], exc: Exception) -> None:
    for work in works:
        for seat, _ in work.seats:
            seat.fail(exc)
