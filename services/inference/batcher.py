"""Brings waiting jobs together into calls of the model thread, and makes the same thing only once.

Things to make wait in the order they came. The oldest decides what the next call is: everything waiting with its batch
key joins it, up to the model's `max_batch`, so nothing is overtaken for ever and a job larger than the room is made in
several calls. A job is begun (its attempt counted) when its turn comes, not earlier.
"""

import asyncio
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import asynccontextmanager
from typing import Final

import structlog

from services.common.errors import DeadlineExceeded, HandedBack, OutOfMemory
from services.inference.adapter import Cancelled, Item
from services.inference.batch import Batch
from services.inference.executor import ModelExecutor
from services.inference.heartbeat import Heartbeat
from services.inference.items import identity_of
from services.inference.metrics import Metrics
from services.inference.outputs import Output
from services.inference.seat import Seat
from services.inference.work import Work

log = structlog.get_logger(__name__)

WINDOW_SECONDS: Final = 0.01  # what more may come in, when others wait already and there is room
KEYS_REMEMBERED: Final = 100  # of those that did not fit into the memory


class Batcher:
    """Use `running` around everything else; then any number of jobs may take a `seat` at a time."""

    def __init__(self, executor: ModelExecutor, metrics: Metrics, *, deadline_seconds: float) -> None:
        self.max_batch = executor.adapter.max_batch
        self._executor = executor
        self._metrics = metrics
        self._deadline_seconds = deadline_seconds
        self._waiting: list[Work] = []
        self._works: dict[Hashable, Work] = {}  # waiting or being made, by identity
        self._arrived = asyncio.Event()
        self._fitting: dict[Hashable, int] = {}  # by the adapter's batch key, where `max_batch` did not fit

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

    def seat(self, items: Sequence[Item], heartbeat: Heartbeat, *, alone: bool) -> Seat:
        """A seat for a job's items. `alone` keeps jobs that ask for anything else out of its calls."""
        seat = Seat(items, heartbeat)
        for index, item in enumerate(items):
            identity = identity_of(item), alone
            work = self._works.get(identity)
            if work is None:
                strict = item.params.reproducibility == "strict"
                company = identity if strict else item.job_id if alone else None
                work = Work(item, (self._executor.adapter.batch_key(item), company), identity)
                hash(work.key)  # an adapter's mistake is this job's fault, not the next one's
                self._works[identity] = work
                self._waiting.append(work)
            elif work not in self._waiting:
                seat.call()  # it is being made already
            work.seats += ((seat, index),)
        self._arrived.set()
        return seat

    async def _run(self) -> None:
        """Until a call does not come back: then the thread is lost, and the worker is about to leave."""
        while True:
            await self._arrived.wait()
            if batch := await self._next_batch():
                try:
                    await self._make(batch)
                except DeadlineExceeded as exc:
                    for work in self._works.values():  # what has begun and waits for another call
                        work.fail(HandedBack(str(exc)))
                    return

    async def _next_batch(self) -> Batch:
        """What still is wanted once every job in it has begun; may be empty."""
        self._forget(*(work for work in self._waiting if not work.wanted))
        if not self._waiting:
            self._arrived.clear()
            return Batch()
        if 1 < len(self._of_the_oldest()) < self._room():
            await asyncio.sleep(WINDOW_SECONDS)
        batch = Batch(self._of_the_oldest()[: self._room()])
        self._waiting = [work for work in self._waiting if work not in batch]
        seats = batch.seats()
        for seat in seats:
            seat.call()
        for seat in seats:
            await seat.settled()
        return self._wanted(batch)

    def _of_the_oldest(self) -> list[Work]:
        return [work for work in self._waiting if work.key == self._waiting[0].key]

    def _room(self) -> int:
        shape = self._executor.adapter.batch_key(self._waiting[0].item)
        return self._fitting.get(shape, self.max_batch)

    async def _make(self, batch: Batch) -> None:
        """Raises DeadlineExceeded when the thread is lost."""
        self._metrics.calls.inc()
        self._metrics.batch_size.observe(len(batch))
        try:
            outputs = await self._call(batch)
        except TimeoutError as exc:
            raise self._give_up(batch) from exc
        except Cancelled as exc:
            for work in batch:  # an identical job may have come at the last moment
                self._try_again(work, work.seats, exc)
        except Exception as exc:  # noqa: BLE001 - whatever the adapter raises is how its jobs end
            await self._make_less(batch, exc)
        else:
            self._deliver(batch, outputs)

    async def _call(self, batch: Batch) -> list[Output]:
        with structlog.contextvars.bound_contextvars(job_ids=batch.jobs):  # for what the adapter logs
            async with asyncio.timeout(self._deadline_seconds):
                outputs = await self._executor.generate(batch.items, batch.context())
        if len(outputs) != len(batch):
            raise RuntimeError(f"the adapter made {len(outputs)} outputs of {len(batch)} items")
        return outputs

    def _give_up(self, batch: Batch) -> DeadlineExceeded:
        """Nobody can stop a thread, or tell whose fault it is where a job asked for only a part of the call."""
        took = f"longer than {self._deadline_seconds:g} seconds"
        for seat, count in batch.seats().items():
            guilty = count == len(batch)
            seat.fail(DeadlineExceeded(f"the job took {took}") if guilty else HandedBack(f"its batch took {took}"))
        return DeadlineExceeded(f"a call took {took}")

    def _deliver(self, batch: Batch, outputs: list[Output]) -> None:
        self._forget(*batch)
        for work, output in zip(batch, outputs, strict=True):
            self._metrics.made.inc()
            self._metrics.shared.inc(len(work.seats) - 1)
            for seat, index in work.seats:
                seat.deliver(index, output)

    async def _make_less(self, batch: Batch, exc: Exception) -> None:
        """Halve the batch: what does not fit does then, and one job's fault is not another's."""
        half = (len(batch) + 1) // 2
        if len(batch) > 1 and (len(batch.jobs) > 1 or isinstance(exc, OutOfMemory)):
            log.warning("batch halved", size=len(batch), reason=type(exc).__name__)
            if isinstance(exc, OutOfMemory):
                self._remember(batch[0], half)
            for part in (batch[:half], batch[half:]):
                if wanted := self._wanted(part):
                    await self._make(wanted)
            return
        for work in batch:
            # Who asked first bears the failure; the others get one more try, together.
            (first, _), *others = [pair for pair in work.seats if pair[0].wanted] or work.seats
            first.fail(exc)
            self._try_again(work, others, exc)

    def _try_again(self, work: Work, seats: Sequence[tuple[Seat, int]], exc: Exception) -> None:
        """For those of the seats that still want it and have not failed before; the others fail."""
        again = tuple(pair for pair in seats if pair[0].wanted and not pair[0].second_try)
        for seat, _ in seats:
            if any(seat is other for other, _ in again):
                seat.second_try = True
            else:
                seat.fail(exc)
        self._forget(work)
        if again:
            work.seats = again
            self._works[work.identity] = work
            self._waiting.insert(0, work)
            self._arrived.set()

    def _remember(self, work: Work, fitting: int) -> None:
        if len(self._fitting) >= KEYS_REMEMBERED:
            self._fitting.clear()
        self._fitting[self._executor.adapter.batch_key(work.item)] = fitting

    def _wanted(self, works: Sequence[Work]) -> Batch:
        self._forget(*(work for work in works if not work.wanted))
        return Batch(work for work in works if work.wanted)

    def _forget(self, *works: Work) -> None:
        """A job that asks for the same from now on gets a work of its own."""
        for work in works:
            if work in self._waiting:
                self._waiting.remove(work)
            if self._works.get(work.identity) is work:
                del self._works[work.identity]
