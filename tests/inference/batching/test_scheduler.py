"""The scheduler alone, with a clock that the test sets: what the next call is for, and how long it waits."""

import asyncio
import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from services.inference.batching.batch import BatchItem
from services.inference.batching.request import BatchRequest
from services.inference.batching.scheduler import BULK_TURN, BatchScheduler
from services.inference.batching.served_model import ServedModel
from services.inference.batching.window import BatchWindow
from services.inference.runtime.adapter import Item
from tests.support.models.stepping_adapter import heartbeat_of_a_job, items_of


def keyed(batch_key: Callable[[Item], object], max_batch: int = 4, name: str = "m") -> ServedModel:
    """The part of a model that a scheduler asks."""
    adapter = SimpleNamespace(batch_key=batch_key, max_batch=max_batch)
    return cast("ServedModel", SimpleNamespace(name=name, adapter=adapter, loaded=True, failed=asyncio.Event()))


class Line:
    """A scheduler, and the requests that a test adds to it, of one model."""

    def __init__(self, max_batch: int = 4, window_seconds: float = 0.02) -> None:
        self.model = keyed(lambda item: item.prompt.rstrip("0123456789"), max_batch)
        self.scheduler = BatchScheduler(BatchWindow(window_seconds))

    def add(self, name: str, *, count: int = 1, redelivered: bool = False, bulk: bool = False) -> BatchRequest:
        """A job whose batch key is its name without digits."""
        request = BatchRequest(
            items_of(name, name, count),
            heartbeat_of_a_job(),
            redelivered=redelivered,
            bulk=bulk,
            show=lambda _index, _preview: None,
            on_exit=self.scheduler.remove,
        )
        self.scheduler.add(request, self.model)
        return request

    def next(self, now: float = 0, batch: list[BatchItem] | None = None) -> list[BatchItem]:
        """The items that join now; the test fails if the scheduler waits instead."""
        found = self.scheduler.next(now, batch or [])
        assert isinstance(found, list), found
        return found

    def waits(self, now: float = 0, batch: list[BatchItem] | None = None) -> float:
        """The time until which the scheduler waits; the test fails if items join instead."""
        found = self.scheduler.next(now, batch or [])
        assert isinstance(found, float | int), found
        return found


def names(items: list[BatchItem]) -> list[str]:
    return [f"{each.item.prompt}.{each.index}" for each in items]


def finish(request: BatchRequest) -> None:
    """The job is stored, and its context ends."""
    request.withdraw()
    request._exit()


def test_nothing_waits() -> None:
    """Without items only a change can bring a batch."""
    assert Line().waits() == math.inf


def test_oldest_item_decides() -> None:
    """The oldest item leads, those with its key join it in order of their age, and the others wait their turn."""
    line = Line()
    for name in ("a1", "b1", "a2", "b2", "a3", "a4", "a5"):
        line.add(name)
    assert names(line.next()) == ["a1.0", "a2.0", "a3.0", "a4.0"]
    assert names(line.next()) == ["b1.0", "b2.0"]
    assert names(line.next()) == ["a5.0"]


def test_job_larger_than_a_call() -> None:
    """A job of four items is made in two calls of three, the second of which has room for others."""
    line = Line(max_batch=3)
    line.add("a1", count=4)
    line.add("a2")
    assert names(line.next()) == ["a1.0", "a1.1", "a1.2"]
    assert names(line.next()) == ["a1.3", "a2.0"]


def test_single_item_does_not_wait() -> None:
    """A call for one item begins at once while the model is idle."""
    line = Line()
    line.add("a1")
    batch = line.next(7)
    assert line.waits(7, batch) <= 7


def test_single_item_after_a_shared_call_waits() -> None:
    """After a call for several jobs a single item waits one window for company, and the next one does not."""
    line = Line(window_seconds=1)
    line.add("a1")
    line.add("a2")
    line.scheduler.call_began(line.next(0))
    line.scheduler.call_ended(5)
    line.add("a3")
    batch = line.next(5.5)
    assert line.waits(5.5, batch) == 6.5
    line.scheduler.call_began(batch)
    line.scheduler.call_ended(8)
    line.add("a4")
    assert line.waits(8.5, line.next(8.5)) <= 8.5


def test_those_who_come_back_share_the_next_call() -> None:
    """An item that waited beside a shared call waits for the clients of that call, and goes with them."""
    line = Line(window_seconds=1)
    line.add("a1")
    line.add("a2")
    line.scheduler.call_began(line.next(0))
    line.add("a3")
    batch = line.next(4)
    line.scheduler.call_ended(5)
    assert line.waits(5, batch) == 6
    line.add("a4")
    batch += line.next(5.5, batch)
    assert line.waits(5.5, batch) == 6.5
    assert names(batch) == ["a3.0", "a4.0"]


@pytest.mark.parametrize("count", [1, 3])
def test_single_item_after_the_call_of_one_job(count: int) -> None:
    """After the call of one job, whatever it makes, a single item begins at once: its client may be the same."""
    line = Line(window_seconds=1)
    line.add("a1", count=count)
    line.scheduler.call_began(line.next(0))
    line.scheduler.call_ended(5)
    line.add("a2")
    assert line.waits(5.1, line.next(5.1)) <= 5.1


def test_window_is_from_the_last_item_and_bounded() -> None:
    """Two items wait one window after the last that joined, three windows in all, and not when the call is full."""
    line = Line(window_seconds=1)
    line.add("a1")
    line.add("a2")
    batch = line.next(10)
    assert line.waits(10, batch) == 11
    line.add("a3")
    batch += line.next(12.5, batch)
    assert line.waits(12.5, batch) == 13  # not 13.5: three windows after the first
    line.add("a4")
    batch += line.next(12.9, batch)
    assert line.waits(12.9, batch) <= 12.9


def test_window_begins_when_the_model_is_idle() -> None:
    """While a call is under way the next one takes what comes; its window begins with the end of that call."""
    line = Line(window_seconds=1)
    line.scheduler.call_began([])
    line.add("a1")
    line.add("a2")
    batch = line.next(1)
    assert line.waits(1, batch) == math.inf
    line.scheduler.call_ended(5)
    assert line.waits(5, batch) == 6


def test_item_that_is_not_wanted_is_dropped() -> None:
    """A job that ends while it waits takes no room, and does not lead a call."""
    line = Line()
    line.add("b1").fail(RuntimeError())
    line.add("a1")
    assert names(line.next()) == ["a1.0"]
    assert line.waits() == math.inf


def test_strict_items_are_alone() -> None:
    """Each item of a job that asks for strict reproducibility has a call for itself."""
    line = Line()
    line.scheduler.add(
        BatchRequest(
            items_of("a1", "a1", 2, reproducibility="strict"),
            heartbeat_of_a_job(),
            redelivered=False,
            bulk=False,
            show=lambda _index, _preview: None,
            on_exit=line.scheduler.remove,
        ),
        line.model,
    )
    line.add("a2")
    assert [names(line.next()) for _ in range(3)] == [["a1.0"], ["a1.1"], ["a2.0"]]


def test_redelivered_job_waits_until_the_worker_holds_nothing_else() -> None:
    """A redelivered job is called when all others are stored, and no new job is called before it."""
    line = Line()
    first = line.add("a1")
    assert names(line.next()) == ["a1.0"]
    suspect = line.add("a2", redelivered=True)
    line.add("a3")
    assert line.waits() == math.inf
    finish(first)
    assert names(line.next()) == ["a2.0"]
    assert line.waits() == math.inf  # nothing is called beside it
    suspect.withdraw()  # done: from now on it takes no worker down
    assert names(line.next()) == ["a3.0"]


def test_canceled_job_is_held_until_its_call_ends() -> None:
    """The model thread may still be busy with a canceled job, so a redelivered job waits for the end of that call."""
    line = Line()
    first = line.add("a1")
    line.scheduler.call_began(line.next())
    finish(first)
    line.add("a2", redelivered=True)
    assert line.waits() == math.inf
    line.scheduler.call_ended(1)
    assert names(line.next(1)) == ["a2.0"]


def test_no_job_is_called_beside_the_call_of_a_canceled_redelivered_job() -> None:
    """A redelivered job that was canceled may take the worker down until its call has ended."""
    line = Line()
    suspect = line.add("a1", redelivered=True)
    line.scheduler.call_began(line.next())
    finish(suspect)
    line.add("a2")
    assert line.waits() == math.inf
    line.scheduler.call_ended(1)
    assert names(line.next(1)) == ["a2.0"]


def test_blocked_bulk_job_keeps_its_turn() -> None:
    """A redelivered bulk job whose turn has come leads the next call that it may, after the jobs that are held."""
    line = Line(max_batch=3)
    line.add("z1", bulk=True, redelivered=True)
    held = [line.add("a1"), line.add("a2", count=4, bulk=True), line.add("b1"), line.add("c1")]
    assert [names(line.next())[0] for _ in range(4)] == ["a1.0", "b1.0", "c1.0", "a2.2"]
    line.add("d1")
    assert line.waits() == math.inf
    for request in held:
        finish(request)
    assert names(line.next()) == ["z1.0"]


def test_half_made_job_goes_before_a_redelivered_one() -> None:
    """While a redelivered job waits for the worker to be free, only jobs that are called already go on."""
    line = Line(max_batch=3)
    first = line.add("a1", count=4, bulk=True)
    assert len(line.next()) == 3
    line.add("a2", redelivered=True)
    line.add("a3")
    assert names(line.next()) == ["a1.3"]  # of the bulk lane, and without a3
    assert line.waits() == math.inf
    finish(first)
    assert names(line.next()) == ["a2.0"]


def test_large_redelivered_job_is_made_alone() -> None:
    """All calls of a redelivered job are its own."""
    line = Line(max_batch=3)
    line.add("a1", count=4, redelivered=True)
    line.add("a2")
    assert len(line.next()) == 3
    assert names(line.next()) == ["a1.3"]
    assert line.waits() == math.inf


def test_bulk_lane_waits_behind_the_other() -> None:
    """Items of the bulk lane fill the room that the others leave."""
    line = Line()
    for name in ("a1", "a2"):
        line.add(name, bulk=True)
    line.add("a3")
    assert names(line.next()) == ["a3.0", "a1.0", "a2.0"]


def test_bulk_lane_leads_every_fourth_call() -> None:
    """While both lanes wait, every fourth call is led by the bulk lane."""
    line = Line()
    line.add("z1", bulk=True)
    line.add("z2", bulk=True)
    for name in "abcdefgh":
        line.add(name)
    leads = [names(line.next())[0] for _ in range(6)]
    assert leads == ["a.0", "b.0", "c.0", "z1.0", "d.0", "e.0"]
    assert BULK_TURN == 4


def test_room_that_did_not_fit_is_remembered() -> None:
    """After a limit for a batch key, calls with that key are that small, and others are not."""
    line = Line()
    for name in ("a1", "a2", "a3", "b1", "b2", "b3"):
        line.add(name)
    first = line.next()
    line.scheduler.limit(first[0], 2)
    for name in ("a4", "a5", "a6"):
        line.add(name)
    assert len(line.next()) == 3  # of b
    assert len(line.next()) == 2  # of a


@pytest.mark.parametrize("key", [[], None], ids=["without a hash", "none"])
def test_batch_key_is_checked_when_a_job_is_added(key: object) -> None:
    """A key without a hash is refused at once, and nothing of the job waits."""
    scheduler, model = BatchScheduler(BatchWindow()), keyed(lambda _item: key)
    request = Line().add("a1")
    if key is None:
        scheduler.add(request, model)
        assert isinstance(scheduler.next(0), list)
    else:
        with pytest.raises(TypeError):
            scheduler.add(request, model)
        assert scheduler.next(0) == math.inf


def test_adapter_is_asked_once_for_a_key() -> None:
    """The adapter tells an item's key once, when the job is added."""
    asked: list[Item] = []
    scheduler, model = BatchScheduler(BatchWindow()), keyed(asked.append)
    request = Line().add("a1", count=2)
    scheduler.add(request, model)
    scheduler.next(0)
    scheduler.next(1)
    assert asked == list(request.items)
