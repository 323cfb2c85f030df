"""Several models in a thread with room for one of them: whose call is next, by a clock of the test's own."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from services.inference.batching.batch import BatchItem
from services.inference.batching.request import BatchRequest
from services.inference.batching.scheduler import FIRST_STAY_SECONDS, MOST_STAY_SECONDS, STAY, BatchScheduler
from services.inference.batching.served_model import ServedModel
from services.inference.batching.window import BatchWindow
from tests.inference.batching.test_scheduler import finish, keyed
from tests.support.models.stepping_adapter import heartbeat_of_a_job, items_of

LOAD, CALL = 10.0, 1.0  # seconds


@dataclass
class Machine:
    """Loads and calls as the scheduler says, with one model in the memory. `told` lists what it did, `waited` how long.

    Without `demand` it does what waits. A model in demand always has two jobs that wait, as a long queue would bring.
    """

    models: dict[str, ServedModel]
    demand: str = ""
    now: float = 0.0
    loading: float = 0.0
    told: list[str] = field(default_factory=list)
    waited: dict[str, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scheduler = BatchScheduler(BatchWindow(0.0))
        self._came: dict[BatchRequest, float] = {}

    def add(self, name: str, *, bulk: bool = False, redelivered: bool = False) -> BatchRequest:
        """Add a job of the model that its first letter names."""
        request = BatchRequest(
            items_of(name, name, 1),
            heartbeat_of_a_job(),
            redelivered=redelivered,
            bulk=bulk,
            show=lambda _index, _preview: None,
            on_exit=self.scheduler.remove,
        )
        self._came[request] = self.now
        self.scheduler.add(request, self.models[name[0]])
        return request

    def work(self, seconds: float = math.inf) -> list[str]:
        """Work for so long, or until nothing waits. Return what was done."""
        until, before = self.now + seconds, len(self.told)
        while self.now < until:
            for name in self.demand:
                while sum(request.items[0].prompt[0] == name for request in self._came) < 2:
                    self.add(f"{name}{len(self.waited.get(name, ()))}")
            found = self.scheduler.next(self.now)
            if isinstance(found, list):
                self._call(found)
            elif isinstance(found, float):
                break
            else:
                self._load(found)
        return self.told[before:]

    def _load(self, model: ServedModel) -> None:
        self.told.append(f"load {model.name}")
        self.now += LOAD
        self.loading += LOAD
        for each in self.models.values():
            each.loaded = each is model
        self.scheduler.load_ended(self.now, LOAD)

    def _call(self, batch: Sequence[BatchItem]) -> None:
        assert len({each.model.name for each in batch}) == 1
        assert batch[0].model.loaded
        self.told.append(" ".join(each.item.prompt for each in batch))
        self.scheduler.call_began(batch)
        for each in batch:
            waited = self.now - self._came.pop(each.request)
            self.waited.setdefault(each.model.name, []).append(waited)
        self.now += CALL
        self.scheduler.call_ended(self.now)
        for each in batch:
            finish(each.request)


def machine(names: str, *, demand: str = "", max_batch: int = 1) -> Machine:
    models = {name: keyed(lambda _item: None, max_batch, name) for name in names}
    for name, model in models.items():
        model.loaded = name == names[0]
    return Machine(models, demand)


def test_oldest_job_decides_whose_call_is_next() -> None:
    """A job of a model that is not loaded has its turn when it is the oldest, and its model is loaded for it."""
    work = machine("ab")
    for name in ("a1", "b1", "a2"):
        work.add(name)
    work.scheduler.load_ended(-MOST_STAY_SECONDS, LOAD)
    assert work.work() == ["a1", "load b", "b1", "load a", "a2"]


def test_batch_is_of_one_model() -> None:
    """Items of two models share no call, although their adapters give them the same key."""
    work = machine("ab", max_batch=4)
    for name in ("a1", "b1", "a2", "b2"):
        work.add(name)
    assert work.work() == ["a1 a2", "load b", "b1 b2"]


def test_load_is_paid_for_by_calls() -> None:
    """After a load, jobs of the loaded model go before older ones that need a load, for a multiple of its seconds."""
    work = machine("ab")
    work.add("b1")
    assert work.work() == ["load b", "b1"]
    work.add("a1")
    for count in range(2, 100):
        work.add(f"b{count}")
    done = work.work()
    calls = done.index("load a")
    assert calls == pytest.approx(STAY * LOAD / CALL, abs=2)
    assert done[:calls] == [f"b{count}" for count in range(2, calls + 2)]
    assert done[calls + 1] == "a1"


def test_worker_that_starts() -> None:
    """A worker makes jobs of its first model for some seconds before it loads another, which may take it down again."""
    work = machine("ab", demand="a")
    work.scheduler.started(0)
    work.add("b1")
    done = work.work(FIRST_STAY_SECONDS + LOAD + 2 * CALL)
    assert done.index("load b") == pytest.approx(FIRST_STAY_SECONDS / CALL, abs=1)
    assert done[done.index("load b") + 1] == "b1"


def test_model_without_work_keeps_nothing() -> None:
    """A job that needs a load does not wait for the seconds of another model that has nothing to do."""
    work = machine("ab")
    for name in ("b1", "a1", "b2"):
        work.add(name)
        assert work.work()[-1] == name
    assert work.loading == 3 * LOAD
    assert work.now == 3 * (LOAD + CALL)


@pytest.mark.parametrize("names", ["ab", "abc", "abcde"])
def test_models_in_demand_do_not_thrash(names: str) -> None:
    """With more work for each model than can be done, loads take a quarter of the time, and each has its share."""
    work = machine(names, demand=names)
    work.work(10_000)
    assert work.loading / work.now == pytest.approx(1 / (1 + STAY), abs=0.05)
    done = [len(work.waited[name]) for name in names]
    assert min(done) > 0.8 * max(done)


@pytest.mark.parametrize("names", ["ab", "abc", "abcde"])
def test_no_job_starves(names: str) -> None:
    """With more work for each model than can be done, a job waits for one turn of each other model at most."""
    work = machine(names, demand=names)
    work.work(10_000)
    turn = LOAD + STAY * LOAD + 2 * CALL
    assert max(max(work.waited[name]) for name in names) <= len(names) * turn


def test_single_job_beside_a_crowd() -> None:
    """A job of a model that is rarely asked for waits for the seconds of one turn at most, whatever the demand."""
    work = machine("ab", demand="a")
    work.work(500)
    for count in range(5):
        work.add(f"b{count}")
        work.work(200)
    assert len(work.waited["b"]) == 5
    assert max(work.waited["b"]) <= STAY * LOAD + LOAD + 2 * CALL


def test_long_load_does_not_keep_others_for_longer() -> None:
    """The seconds that a load earns are bounded, so that one that came with a download keeps no model for hours."""
    work = machine("ab", demand="a")
    work.scheduler.load_ended(0, 3600)
    work.add("b1")
    work.work(1000)
    assert work.waited["b"] == [pytest.approx(MOST_STAY_SECONDS + LOAD, abs=2 * CALL)]


def test_bulk_job_of_a_loaded_model_goes_before_a_load() -> None:
    """A load has to be paid for by all work of the loaded models, in both lanes."""
    work = machine("ab")
    work.add("b1")
    work.work()
    work.add("a1")
    work.add("b2", bulk=True)
    assert work.work() == ["b2", "load a", "a1"]


def test_load_waits_for_the_call_under_way() -> None:
    """A model is loaded between two calls, never beside one, and no job of it is called before."""
    work = machine("ab")
    first = work.add("a1")
    batch = work.scheduler.next(0)
    assert isinstance(batch, list)
    work.scheduler.call_began(batch)
    work.add("b1")
    assert work.scheduler.next(1) == math.inf
    work.scheduler.call_ended(2)
    finish(first)
    assert work.scheduler.next(2) is work.models["b"]


def test_redelivered_job_of_another_model_runs_alone() -> None:
    """A job that may have taken a worker down is called when the worker holds no job of any model."""
    work = machine("ab")
    first = work.add("a1")
    batch = work.scheduler.next(0)
    assert isinstance(batch, list)
    work.scheduler.call_began(batch)
    work.scheduler.call_ended(1)
    work.add("b1", redelivered=True)
    work.add("a2")
    assert work.scheduler.next(1) == math.inf, "a1 is still being stored"
    finish(first)
    assert work.scheduler.next(1) is work.models["b"]
    work.models["a"].loaded = work.models["b"].loaded = True
    suspect = work.scheduler.next(1)
    assert isinstance(suspect, list)
    assert [each.item.prompt for each in suspect] == ["b1"]
    assert work.scheduler.next(1) == math.inf, "a2 is not called beside it"


def test_model_that_failed_is_left_out() -> None:
    """Jobs of a model that cannot be loaded are called no more, and those behind them are."""
    work = machine("ab")
    work.add("b1")
    work.add("a1")
    work.models["b"].failed.set()
    assert work.work() == ["a1"]
