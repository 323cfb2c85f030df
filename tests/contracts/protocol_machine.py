"""A state machine: gateways, workers, clients and crashes act in any order, and a simple model checks the result.

The model follows the ports' docstrings. The machine uses two stores on one file. The leases of one run out at once,
as do those of a worker that was suspended.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import Final, TypeVar
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from services.common.brokers.delivery import Delivery, Settlement
from services.common.errors import JobNotFound
from services.common.ports import RELEASED, Broker, Lease, Limits, Outcome, StatusStore, Verdict
from services.common.schemas import JobError, JobMessage, Progress, State, StatusRecord
from tests.contracts.conftest import OpenBroker, OpenStatuses
from tests.support.deliveries import DEADLINE_SECONDS
from tests.support.job_attempts import lease_of, silent_lease_of
from tests.support.messages import new_message, new_model, new_record

T = TypeVar("T")
ATTEMPTS: Final = 2
HELD: Final = (Verdict.HELD, Verdict.CANCEL, Verdict.EXHAUSTED)
ENDS: Final = (
    Outcome(State.SUCCEEDED),
    Outcome(State.FAILED, error=JobError(code="generation-failed", message="no", retryable=True)),
    Outcome(State.CANCELED),
    RELEASED,
)
JOBS: Final = 3  # few, so that much happens to each
picks = st.integers(0, 11)


@dataclass
class Job:
    """The model of one job. `fresh` is true while its holder's lease has time left."""

    message: JobMessage
    expired: bool
    state: State = State.QUEUED
    attempt: int = 0
    holder: Lease | None = None
    fresh: bool = False
    exhausted: bool = False
    cancel: bool = False
    ended_by: str | None = None
    known: bool = True
    published: bool = False
    last: StatusRecord | None = None  # as it ended

    def begin(self, lease: Lease, *, fresh: bool, watched: bool) -> Verdict:
        if not self.known:
            return Verdict.MISSING
        if self.state is State.QUEUED and self.attempt == 0 and self.expired:
            self.end(State.EXPIRED, None)
        if self.state.terminal:
            return Verdict.LOST
        if self.holder and not watched:
            duplicate = self.fresh and self.holder.message_id != lease.message_id
            return Verdict.DUPLICATE if duplicate else Verdict.BUSY
        self.exhausted = self.attempt >= ATTEMPTS
        self.attempt += not self.exhausted
        self.state, self.holder, self.fresh, self.published = State.RUNNING, lease, fresh, True
        return Verdict.EXHAUSTED if self.exhausted else self._held()

    def progress(self, lease: Lease, *, fresh: bool) -> Verdict:
        if not self.known or self.holder != lease:
            return Verdict.LOST if self.known else Verdict.MISSING
        self.fresh = fresh
        return self._held()

    def finish(self, lease: Lease, outcome: Outcome) -> Verdict:
        if not self.known:
            return Verdict.MISSING
        if lease.token and self.ended_by == lease.token and self.state is outcome.state:
            return Verdict.HELD
        accepted = outcome.release_key and self.published
        if self.holder != lease and not (lease.token == "" and self.state is State.QUEUED and not accepted):
            return Verdict.LOST
        if outcome is RELEASED:
            self.attempt = max(self.attempt - 1, 0)
        self.end(outcome.state, lease.token)
        return Verdict.HELD

    def end(self, state: State, token: str | None) -> None:
        self.state, self.holder, self.fresh, self.exhausted, self.ended_by = state, None, False, False, token

    def _held(self) -> Verdict:
        return Verdict.CANCEL if self.cancel else Verdict.HELD


@dataclass
class Hand:
    """A delivery that a worker holds. `over` is true once it may be acked."""

    delivery: Delivery
    job: Job
    lease: Lease | None = None
    over: bool = False


@dataclass
class Queue:
    """The model of the queue: the place of each message, by its id."""

    ready: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)


class ProtocolMachine(RuleBasedStateMachine):
    """The machine; `of` makes one for a pair of backends."""

    open_broker: OpenBroker
    open_statuses: OpenStatuses

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack, self.connection = AsyncExitStack(), AsyncExitStack()
        self.model, self.queue = new_model(), Queue()
        self.jobs: list[Job] = []
        self.by_message: dict[str, Job] = {}
        self.keys: dict[str, Job] = {}
        self.hands: list[Hand] = []
        self.leases: list[tuple[Job, Lease]] = []  # every one ever given, zombies' too
        self.run(self._open())

    @classmethod
    def of(cls, open_broker: OpenBroker, open_statuses: OpenStatuses) -> type["ProtocolMachine"]:
        bound = {"open_broker": staticmethod(open_broker), "open_statuses": staticmethod(open_statuses)}
        return type("BoundProtocolMachine", (cls,), bound)

    def run(self, work: Awaitable[T]) -> T:
        return self.runner.run(asyncio.wait_for(work, DEADLINE_SECONDS))

    async def _open(self) -> None:
        enter = self.stack.enter_async_context
        self.stores: list[StatusStore] = [
            await enter(self.open_statuses(Limits(lease_seconds=seconds, max_attempts=ATTEMPTS)))
            for seconds in (600, 0)
        ]
        self.broker: Broker = await self.connection.enter_async_context(self.open_broker())

    # What clients and gateways do.

    @precondition(lambda self: len(self.jobs) < JOBS)
    @rule(key=st.sampled_from([None, "a", "b"]), expired=st.sampled_from([False, False, False, True]))
    def create(self, key: str | None, expired: bool) -> None:
        message = new_message(self.model)
        if expired:
            message = message.model_copy(update={"expires_at": message.created_at - 60})
        named = key and f"{self.model}-{key}"
        stored = self.run(self.stores[0].create(new_record(message, key=named)))
        earlier = self.keys.get(key) if key else None
        if earlier is not None:
            assert stored.job_id == earlier.message.job_id
            return
        assert stored.job_id == message.job_id
        job = Job(message, expired)
        self.jobs.append(job)
        self.by_message[message.message_id] = job
        if key:
            self.keys[key] = job

    @precondition(lambda self: self.jobs)
    @rule(pick=picks, other=st.booleans())
    def publish(self, pick: int, other: bool) -> None:
        """Publish again, as the sweeper may at any time, under the same message id or, after a replay, another."""
        job = self._job(pick)
        message = job.message.model_copy(update={"message_id": uuid4().hex}) if other else job.message
        somewhere = {*self.queue.ready.elements(), *self.queue.dead.elements()}
        if message.message_id in somewhere | {hand.delivery.message_id for hand in self.hands}:
            return  # the embedded queue holds it once, RabbitMQ twice
        self.run(self.broker.publish(message))
        self.queue.ready[message.message_id] += 1
        self.by_message[message.message_id] = job

    @precondition(lambda self: self.jobs)
    @rule(pick=picks)
    def confirm(self, pick: int) -> None:
        job = self._job(pick)
        if job.known and not job.state.terminal:
            record = self.run(self.stores[0].get(job.message.job_id))
            self.run(self.stores[0].create(record.model_copy(update={"published": True})))
            job.published = True

    @precondition(lambda self: self.jobs)
    @rule(pick=picks)
    def cancel(self, pick: int) -> None:
        job = self._job(pick)
        if not job.known:
            return
        self.run(self.stores[0].request_cancel(job.message.job_id))
        if job.state is State.QUEUED:
            job.end(State.CANCELED, None)
        elif not job.state.terminal:
            job.cancel = True

    @precondition(lambda self: self.jobs)
    @rule(pick=picks)
    def disown(self, pick: int) -> None:
        """Give a job up whose publish was not confirmed, as a gateway does."""
        job = self._job(pick)
        outcome = Outcome(State.CANCELED, release_key=True)
        verdict = self.run(self.stores[0].finish(Lease.of_gateway(job.message.job_id), outcome))
        assert verdict is job.finish(Lease.of_gateway(job.message.job_id), outcome)
        if verdict is Verdict.HELD:
            self._free_key(job)

    @precondition(lambda self: self.jobs)
    @rule(pick=picks)
    def remove(self, pick: int) -> None:
        job = self._job(pick)
        self.run(self.stores[0].remove(job.message.job_id))
        job.known, job.holder = False, None
        self._free_key(job)

    # What workers do.

    @precondition(lambda self: self.queue.ready.total())
    @rule()
    def deliver(self) -> None:
        async def pull() -> Delivery:
            async with aclosing(self.broker.consume(self.model, 1)) as deliveries:
                return await anext(deliveries)

        delivery = self.run(pull())
        assert self.queue.ready[delivery.message_id] > 0
        assert JobMessage.decode(delivery.body).message_id == delivery.message_id
        self.queue.ready[delivery.message_id] -= 1
        self.hands.append(Hand(delivery, self.by_message[delivery.message_id]))

    @precondition(lambda self: self.hands)
    @rule(pick=picks, asleep=st.booleans(), watched=st.booleans())
    def begin(self, pick: int, asleep: bool, *, watched: bool) -> None:
        """Begin a job, perhaps after watching its lease in vain."""
        hand = self._hand(pick)
        if hand.lease is not None:
            return
        message = JobMessage.decode(hand.delivery.body)
        lease = lease_of(message)
        if watched and hand.job.known:
            lease = self.run(silent_lease_of(self.stores[0], message))
        verdict = self.run(self.stores[asleep].begin(message, lease))
        assert verdict is hand.job.begin(lease, fresh=not asleep, watched=watched)
        hand.over = verdict not in (*HELD, Verdict.BUSY)
        if verdict in HELD:
            hand.lease = lease
            self.leases.append((hand.job, lease))
            assert self.run(self.stores[asleep].begin(message, lease)) is verdict, "asked again for want of an answer"

    @precondition(lambda self: any(hand.lease for hand in self.hands))
    @rule(pick=picks, asleep=st.booleans())
    def follow(self, pick: int, asleep: bool) -> None:
        """Let another worker begin the next message, mostly of the same job: the first worker is then a zombie."""
        begun = [hand for hand in self.hands if hand.lease]
        self._put_back(begun[pick % len(begun)], Settlement.RETRY)
        self.deliver()
        self.begin(len(self.hands) - 1, asleep, watched=True)

    @precondition(lambda self: self.leases)
    @rule(pick=picks, asleep=st.booleans())
    def progress(self, pick: int, asleep: bool) -> None:
        job, lease = self.leases[-1 - pick % len(self.leases)]
        verdict = self.run(self.stores[asleep].progress(lease, Progress(step=1, total=2)))
        assert verdict is job.progress(lease, fresh=not asleep)

    @precondition(lambda self: self.leases)
    @rule(pick=picks, outcome=st.sampled_from((*ENDS, RELEASED)))
    def finish(self, pick: int, outcome: Outcome) -> None:
        """End a job by the worker that has it, or by a zombie."""
        job, lease = self.leases[-1 - pick % len(self.leases)]
        verdict = self.run(self.stores[0].finish(lease, outcome))
        assert verdict is job.finish(lease, outcome)
        for hand in self.hands:
            if hand.lease == lease:
                hand.over = outcome is not RELEASED or verdict is not Verdict.HELD

    @precondition(lambda self: self.hands)
    @rule(pick=picks, settlement=st.sampled_from(Settlement))
    def settle(self, pick: int, settlement: Settlement) -> None:
        """Settle a delivery that is over, by an ack or a reject."""
        hand = self._hand(pick)
        if settlement in (Settlement.ACK, Settlement.REJECT) and not hand.over:
            settlement = Settlement.REQUEUE
        self._put_back(hand, settlement)

    def _put_back(self, hand: Hand, settlement: Settlement) -> None:
        self.run(hand.delivery.settle(settlement))
        self.hands.remove(hand)
        if settlement is Settlement.REJECT:
            self.queue.dead[hand.delivery.message_id] += 1
        elif settlement is not Settlement.ACK:
            self.queue.ready[hand.delivery.message_id] += 1

    @precondition(lambda self: self.hands)
    @rule()
    def crash(self) -> None:
        """Kill all workers: their deliveries come again, and their leases stay."""

        async def reopen() -> None:
            await self.connection.aclose()
            self.broker = await self.connection.enter_async_context(self.open_broker())

        self.run(reopen())
        self.queue.ready.update(hand.delivery.message_id for hand in self.hands)
        self.hands.clear()

    # What operators do.

    @precondition(lambda self: self.queue.dead.total())
    @rule(pick=picks, replayed=st.booleans())
    def take_dead_letter(self, pick: int, replayed: bool) -> None:
        letters = sorted(self.queue.dead.elements())
        message_id = letters[pick % len(letters)]
        assert self.run(self._until_taken(message_id, replayed=replayed))
        self.queue.dead[message_id] -= 1
        if replayed:
            self.queue.ready[message_id] += 1

    # What holds all along.

    @invariant()
    def records_are_as_promised(self) -> None:
        self.run(self._check_all())

    @invariant()
    def no_message_is_lost_or_doubled(self) -> None:
        self.run(self._settled())

    def teardown(self) -> None:
        try:
            self._drain()
        finally:
            self.run(self._clean())
            self.runner.close()

    def _drain(self) -> None:
        """Let workers end every job that still has a message, and check that nothing is left."""
        self.crash()
        alive = {self.by_message[message_id].message.job_id for message_id in self.queue.ready.elements()}
        while self.queue.ready.total():
            self.deliver()
            self.begin(0, asleep=True, watched=True)
            if not self.hands[0].over:
                self.finish(0, ENDS[0])
            self.settle(0, Settlement.ACK)
            self.no_message_is_lost_or_doubled()
        self.records_are_as_promised()
        assert all(job.state.terminal for job in self.jobs if job.known and job.message.job_id in alive)

    async def _clean(self) -> None:
        for job in self.jobs:
            await self.stores[0].remove(job.message.job_id)
        for message_id in self.queue.dead.elements():
            await self._until_taken(message_id, replayed=False)
        await self.connection.aclose()
        await self.stack.aclose()

    async def _check_all(self) -> None:
        for job in self.jobs:
            await self._check(job)

    async def _check(self, job: Job) -> None:
        try:
            record = await self.stores[0].get(job.message.job_id)
        except JobNotFound:
            assert not job.known
            return
        assert job.known
        assert (record.state, record.attempt, record.lease_token) == (
            job.state,
            job.attempt,
            job.holder.token if job.holder else None,
        )
        if job.state.terminal:
            assert record == (job.last or record), "a terminal state never changes"
            job.last = record

    async def _settled(self) -> None:
        """Wait until the server's counts are up to date."""
        ready, dead = self.queue.ready.total(), sorted(self.queue.dead.elements())
        while await self.broker.depth(self.model) != ready or dead != await self._dead():
            await asyncio.sleep(0.01)

    async def _dead(self) -> list[str]:
        letters = await self.broker.dead_letters(1000) if self.queue.dead.total() else []
        return sorted(letter.message_id for letter in letters if letter.model == self.model)

    async def _until_taken(self, message_id: str, *, replayed: bool) -> bool:
        take = self.broker.replay if replayed else self.broker.drop
        while not await take(message_id):
            await asyncio.sleep(0.02)
        return True

    def _free_key(self, job: Job) -> None:
        self.keys = {key: other for key, other in self.keys.items() if other is not job}

    def _job(self, pick: int) -> Job:
        return self.jobs[pick % len(self.jobs)]

    def _hand(self, pick: int) -> Hand:
        return self.hands[pick % len(self.hands)]
