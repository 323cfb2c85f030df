"""The scheduler: which waiting items form the next call of a model. Synchronous, without a clock of its own."""

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Final

from services.inference.batching.batch import BatchItem
from services.inference.batching.isolation import Isolation
from services.inference.batching.request import BatchRequest
from services.inference.batching.served_model import ServedModel
from services.inference.batching.window import BatchWindow

BULK_TURN: Final = 4  # every fourth call is led by the bulk lane while both lanes wait
KEYS_REMEMBERED: Final = 100  # batch keys whose `max_batch` did not fit into the memory
STAY: Final = 3  # times the seconds of a load: while loaded models have work, no other is loaded for so long after it
MOST_STAY_SECONDS: Final = 120.0  # the same, after a load that took long
FIRST_STAY_SECONDS: Final = 10.0  # the same, after the start of the worker


class BatchScheduler:
    """The oldest waiting item decides the next call; items with its batch key join it while there is room.

    So no job is overtaken for ever, and a job larger than the room is made in several calls. Items of the bulk lane
    count as younger than all others, except in every fourth call. `Isolation` holds redelivered jobs apart.

    The oldest item also decides which model is called, and loaded for it. After a load the models that are loaded stay
    for a while, as long as they have work: two in demand would otherwise be loaded in turn for every call. So an item
    waits for that while at most, and for those older than itself.

    Times are seconds on the clock of the caller.
    """

    def __init__(self, window: BatchWindow) -> None:
        self._window = window
        self._isolation = Isolation()
        self._fast: list[BatchItem] = []
        self._bulk: list[BatchItem] = []
        self._passed_over = 0  # calls in a row that left the bulk lane waiting
        self._fitting: dict[Hashable, int] = {}  # room by the adapter's batch key, where `max_batch` did not fit
        self._busy = False
        self._shared = False  # the call under way, or the last one, is for several jobs
        self._stay_until = -math.inf  # of the loaded models
        self._staying = False  # `next` considers items of loaded models alone
        self._idle_since = 0.0
        self._opened_at = 0.0  # when the batch that is being formed got its first items
        self._joined_at = 0.0  # and its last ones

    def add(self, request: BatchRequest, model: ServedModel) -> None:
        """Let the items of a job wait. Raise what the adapter raises, and TypeError for a key that has no hash.

        Items of a model may share a call when the adapter's batch key is equal, unless they ask for `strict`
        reproducibility (then each is alone) or their job was redelivered (then the job is alone). The adapter is asked
        here only, so its mistakes fail no other job.
        """
        added = []
        for index, item in enumerate(request.items):
            strict = item.params.reproducibility == "strict"
            company = (item.job_id, index) if strict else item.job_id if request.redelivered else None
            key = (model.name, model.adapter.batch_key(item)), company
            hash(key)
            added.append(BatchItem(request, index, model, key))
        (self._bulk if request.bulk else self._fast).extend(added)

    def remove(self, request: BatchRequest) -> None:
        """Forget a job: it waits no longer, and the worker does not hold it."""
        self._isolation.release(request)
        self._drop(lambda item: item.request is request)

    def next(self, now: float, batch: Sequence[BatchItem] = ()) -> list[BatchItem] | float | ServedModel:
        """Return the items that join `batch` now, or else the time until which it waits for more.

        Return a model that has to be loaded before anything can be called. A time that is not after `now` says that
        the batch is complete. Infinity says that time alone brings nothing: ask again after `add`, `remove`,
        `call_ended` or `load_ended`.
        """
        self._drop(lambda item: not item.wanted)
        self._staying = now < self._stay_until and any(item.model.loaded for item in self._waiting)
        first = batch[0] if batch else self._first()
        if first is None:
            return math.inf
        if not first.model.loaded:
            return math.inf if self._busy else first.model
        room = self._fitting.get(first.key[0], first.model.adapter.max_batch) - len(batch)
        if room <= 0:
            return now
        if joining := self._joining(first)[:room]:
            if not batch:
                self._opened_at = now
                self._count_turn(first)
            self._joined_at = now
            self._take(joining)
            return joining
        if self._busy:
            return math.inf  # the end of the call under way decides
        opened_at, joined_at = max(self._opened_at, self._idle_since), max(self._joined_at, self._idle_since)
        return self._window.until(len(batch), opened_at, joined_at, shared=self._shared)

    def call_began(self, batch: Sequence[BatchItem]) -> None:
        self._busy = True
        self._shared = any(item.request is not batch[0].request for item in batch)
        self._isolation.call_began(item.request for item in batch)

    def call_ended(self, now: float) -> None:
        self._busy, self._idle_since = False, now
        self._isolation.call_ended()

    def started(self, now: float) -> None:
        """Note that the worker has started. Jobs of its first model go first, lest each load that takes the worker down
        keeps the next one from all work.
        """
        self._stay_until = now + FIRST_STAY_SECONDS

    def load_ended(self, now: float, seconds: float) -> None:
        """Note that a load took so many seconds. Calls pay for it before the next one."""
        self._stay_until = now + min(STAY * seconds, MOST_STAY_SECONDS)

    def limit(self, item: BatchItem, room: int) -> None:
        """Remember that no more than `room` items like this one fit into the memory."""
        if len(self._fitting) >= KEYS_REMEMBERED:
            self._fitting.clear()
        self._fitting[item.key[0]] = room

    def _head(self) -> BatchItem | None:
        """The item whose turn it is."""
        fast, bulk = self._turns(self._fast), self._turns(self._bulk)
        return bulk if bulk and (not fast or self._passed_over >= BULK_TURN - 1) else fast

    def _turns(self, lane: Sequence[BatchItem]) -> BatchItem | None:
        """The item of the lane whose turn it is."""
        return next((item for item in lane if self._has_turn(item)), None)

    def _has_turn(self, item: BatchItem) -> bool:
        return not item.model.failed.is_set() and (item.model.loaded or not self._staying)

    def _count_turn(self, first: BatchItem) -> None:
        """Count the calls that leave the bulk lane waiting. A blocked head keeps its turn while held jobs go on."""
        bulk = self._turns(self._bulk)
        if bulk is None or first is bulk:
            self._passed_over = 0
        elif first is self._head():
            self._passed_over += 1

    def _first(self) -> BatchItem | None:
        """The item that decides the next call; None while the one whose turn it is has to wait for others.

        Then only jobs that are held already go on, or new ones would keep it waiting for ever.
        """
        head = self._head()
        if head is None or self._isolation.may_call(head.request):
            return head
        return next((item for item in self._waiting if self._may_go_on(item)), None)

    def _joining(self, first: BatchItem) -> list[BatchItem]:
        """The waiting items that may share the call of `first`, itself before all others."""
        head = self._head()
        closed = head is not None and not self._isolation.may_call(head.request)
        alike = [item for item in self._waiting if item.key == first.key and self._may_join(item, closed=closed)]
        return sorted(alike, key=lambda item: item is not first)

    def _may_join(self, item: BatchItem, *, closed: bool) -> bool:
        isolation = self._isolation
        return isolation.holds(item.request) or (not closed and isolation.may_call(item.request))

    def _may_go_on(self, item: BatchItem) -> bool:
        return self._isolation.holds(item.request) and not item.model.failed.is_set()

    def _take(self, joining: list[BatchItem]) -> None:
        for item in joining:
            self._isolation.hold(item.request)
        taken = {id(item) for item in joining}
        self._drop(lambda item: id(item) in taken)

    @property
    def _waiting(self) -> list[BatchItem]:
        return [*self._fast, *self._bulk]

    def _drop(self, unwanted: Callable[[BatchItem], bool]) -> None:
        self._fast = [item for item in self._fast if not unwanted(item)]
        self._bulk = [item for item in self._bulk if not unwanted(item)]
