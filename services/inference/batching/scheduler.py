"""What waits to be made, in the order it came, and which of it makes up the next call."""

import asyncio
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

from services.common.errors import HandedBack
from services.inference.batching.aftermath import Aftermath
from services.inference.batching.batch import Batch
from services.inference.batching.request import BatchRequest
from services.inference.batching.window import BatchWindow
from services.inference.batching.work import Work
from services.inference.job.heartbeat import Heartbeat
from services.inference.job.items import identity_of
from services.inference.runtime.adapter import Item, ModelAdapter

BULK_TURN: Final = 4  # every fourth call is the bulk's, so that a crowd of others does not hold it up for ever
KEYS_REMEMBERED: Final = 100  # of those that did not fit into the memory


class BatchScheduler:
    """The oldest thing waiting decides what the next call is: everything with its batch key joins it, as far as there
    is room. So nothing is overtaken for ever, and a job larger than the room is made in several calls.

    What was delivered again waits for jobs that are half made, which it could take down with it.
    What is bulk counts as younger than all that is not, but for every fourth call.
    A call is made up while the one before it ends, and what comes may join until the model is idle.
    """

    def __init__(self, adapter: ModelAdapter) -> None:
        self._adapter = adapter
        self._aftermath = Aftermath()
        self._waiting: list[Work] = []  # in the order of being made, but for BULK_TURN
        self._calls_until_bulk = BULK_TURN
        self._works: dict[Hashable, Work] = {}  # waiting or being made, by identity
        self._news = asyncio.Event()  # something has arrived, or the model is idle
        self._idle = asyncio.Event()
        self._idle.set()
        self._idle_since = 0.0
        self._exclusive = False  # nothing is begun beside what is being made
        self._patience = BatchWindow()
        self._next = Batch()  # as far as it is made up
        self._fitting: dict[Hashable, int] = {}  # by the adapter's batch key, where `max_batch` did not fit

    def seat(self, items: Sequence[Item], heartbeat: Heartbeat, *, alone: bool, bulk: bool = False) -> BatchRequest:
        """A seat for a job's items. `alone` keeps jobs that ask for anything else out of its calls.

        One whose items have no batch key gets a seat all the same, where it hears what the adapter raised.
        """
        seat = BatchRequest(len(items), heartbeat, self._aftermath, alone=alone)
        try:
            keys = [self._key(item, alone=alone) for item in items]
        except Exception as exc:  # noqa: BLE001 - an adapter's mistake is how this job ends, and no other
            seat.fail(exc)
            seat.call()
            return seat
        for index, (item, key) in enumerate(zip(items, keys, strict=True)):
            identity = identity_of(item), alone
            work = self._works.get(identity)
            if work is None:
                work = Work(item, key, identity, bulk)
                self._works[identity] = work
                self._line_up(work)
            elif work not in self._waiting:
                seat.call()  # it is being made already
            elif work.bulk and not bulk:
                self._waiting.remove(work)
                work.bulk = False
                self._line_up(work)
            work.seats += ((seat, index),)
        self._news.set()
        return seat

    def _key(self, item: Item, *, alone: bool) -> tuple[Hashable, Hashable]:
        """The adapter is asked nowhere else, so that its mistakes fail no other job.

        Raises what it raises, and TypeError for what is not hashable.
        """
        strict = item.params.reproducibility == "strict"
        company = (identity_of(item), alone) if strict else item.job_id if alone else None
        key = self._adapter.batch_key(item), company
        hash(key)
        return key

    @contextmanager
    def busy(self, batch: Batch) -> Iterator[None]:
        """Around all calls of the model for `batch`."""
        self._idle.clear()
        self._exclusive, self._next = batch.alone, Batch()
        now = asyncio.get_running_loop().time
        began = now()
        try:
            yield
        finally:
            self._idle_since = now()
            self._patience.expect(len(batch) + len(self._next), self._idle_since - began)
            self._idle.set()
            self._news.set()

    async def next_batch(self) -> Batch:
        """What the next call is for, every job of it begun; may not be wanted any more.

        Asked for while the model is busy, it returns early only where there is no room for more.
        """
        while not self.still_wanted(self._waiting):
            self._news.clear()
            await self._news.wait()
        self._take_turns()
        if self._exclusive or self._waiting[0].alone:
            await self._idle.wait()
        begun_only = self._spare_the_begun()
        joining = partial(self._joining, self._waiting[0].key, begun_only=begun_only)
        since, room = asyncio.get_running_loop().time(), self._room()
        self._next = batch = Batch()
        # Round after round, for what comes while the jobs before it are begun; a lone job pays nothing for that.
        while len(batch) < room and (round_ := (await self._soon(joining, len(batch), since))[: room - len(batch)]):
            self._waiting = [work for work in self._waiting if work not in round_]
            batch += round_
            await Batch(round_).begin()
        return batch

    def still_wanted(self, works: Sequence[Work]) -> Batch:
        """The others are forgotten."""
        self.forget(*(work for work in works if not work.wanted))
        return Batch(work for work in works if work.wanted)

    def forget(self, *works: Work) -> None:
        """A job that asks for the same from now on gets a work of its own."""
        for work in works:
            if work in self._waiting:
                self._waiting.remove(work)
            if self._works.get(work.identity) is work:
                del self._works[work.identity]

    def hand_back(self, exc: HandedBack) -> None:
        """Nothing more is made: who has begun hears of it, and nobody who comes now joins what is never made."""
        for work in [*self._works.values()]:
            work.fail(exc)
            self.forget(work)

    def put_first(self, work: Work) -> None:
        """Have it made next; jobs that ask for the same may join again."""
        self._works[work.identity] = work
        self._waiting.insert(0, work)
        self._news.set()

    def shrink(self, work: Work, room: int) -> None:
        """No more than `room` of its kind fit into the memory."""
        if len(self._fitting) >= KEYS_REMEMBERED:
            self._fitting.clear()
        self._fitting[work.key[0]] = room

    async def _soon(self, joining: Callable[[], list[Work]], count: int, since: float) -> list[Work]:
        """What joins the `count` that are there since then: at once, or once it comes, where that is likely soon."""
        now = asyncio.get_running_loop().time
        last = now()
        while not (works := joining()):
            could, idle = self._idle_since, self._idle.is_set()
            until = self._patience.until(count, max(since, could), max(last, could)) if idle else None
            if until is not None and until <= now():
                break
            self._news.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout_at(until):
                    await self._news.wait()
        self._news.set()
        return works

    def _line_up(self, work: Work) -> None:
        behind = self._waiting if work.bulk else [each for each in self._waiting if not each.bulk]
        self._waiting.insert(self._waiting.index(behind[-1]) + 1 if behind else 0, work)

    def _take_turns(self) -> None:
        """Have the oldest of the bulk made next where it has been passed over long enough."""
        passed_over = next((place for place, work in enumerate(self._waiting) if work.bulk), 0)
        self._calls_until_bulk -= 1
        if not passed_over:
            self._calls_until_bulk = BULK_TURN
        elif self._calls_until_bulk <= 0:
            self._waiting.insert(0, self._waiting.pop(passed_over))
            self._calls_until_bulk = BULK_TURN

    def _spare_the_begun(self) -> bool:
        """Whether the next call is only for what has begun: it goes before what may take the worker down with it.

        Nobody new may join that call, or there would be no end of jobs that have begun.
        """
        if not self._waiting[0].alone:
            return False
        half_made = next((place for place, work in enumerate(self._waiting) if work.begun), None)
        if half_made is None:
            return False
        self._waiting.insert(0, self._waiting.pop(half_made))
        return True

    def _joining(self, key: Hashable, *, begun_only: bool = False) -> list[Work]:
        return [work for work in self._waiting if work.key == key and (work.begun or not begun_only)]

    def _room(self) -> int:
        return self._fitting.get(self._waiting[0].key[0], self._adapter.max_batch)
