"""The gateway's side of the protocol where a dependency refuses, hangs or forgets."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from services.api.core.gateway import Gateway
from services.api.core.sweeper import Sweeper
from services.api.middleware.request_budget import BUDGET_SECONDS
from services.common.backends import Backends, open_backends
from services.common.budget import Budget, time_budget
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.errors import (
    BackendUnavailable,
    IdempotencyInFlight,
    IdempotencyMismatch,
    JobNotFound,
    JobRemoved,
    NewerVersion,
    PublishUnconfirmed,
    QueueFull,
)
from services.common.ids import new_job_id
from services.common.ports import Lease, Limits, Outcome, Verdict
from services.common.schemas import JobError, JobMessage, JobWarning, State, StatusRecord
from services.common.settings import Settings
from services.common.statuses.lane import Lane
from services.common.statuses.sqlite import open_sqlite_status_store
from tests.support.fake_backends import FakeBroker, SlowStatuses, StatusesWithoutConfirm

pytestmark = pytest.mark.anyio

MODEL = Model(name="painter", title="Painter", modality="txt2img", adapter="x:Y", source=".", default=True)
CATALOGUE = Catalogue(models={"painter": MODEL}, styles={})
BODY = {"prompt": "red mug"}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        broker_url=f"sqlite:///{tmp_path}/studio.db",
        statuses_url=f"sqlite:///{tmp_path}/studio.db",
        objects_url=f"file:///{tmp_path}/objects",
        queue_limit=5,
        job_ttl_seconds=3600,
    )


@pytest.fixture
def broker() -> FakeBroker:
    return FakeBroker()


@pytest.fixture
async def backends(settings: Settings, broker: FakeBroker) -> AsyncIterator[Backends]:
    async with open_backends(settings) as opened:
        yield replace(opened, broker=broker)


@pytest.fixture
def gateway(backends: Backends, settings: Settings) -> Gateway:
    return Gateway(backends, CATALOGUE, settings)


async def submitted(gateway: Gateway, body: Mapping[str, Any], **given: Any) -> StatusRecord:
    """The job, whether it is a new one or that of an earlier request."""
    record, _ = await gateway.accept(body, **given)
    return record


def _sweeper(gateway: Gateway, backends: Backends) -> Sweeper:
    return Sweeper(gateway, backends, sweep_seconds=1)


async def _begin(backends: Backends, record: StatusRecord) -> Lease:
    lease = Lease(record.job_id, record.message.message_id)
    assert await backends.statuses.begin(record.message, lease) is Verdict.HELD
    return lease


async def test_refused(gateway: Gateway, backends: Backends, broker: FakeBroker) -> None:
    """A definite refusal leaves no record behind, and the key can be used again."""
    broker.fault = QueueFull("painter")
    with pytest.raises(QueueFull):
        await submitted(gateway, BODY, idempotency_key="k")
    assert await backends.statuses.list() == []

    broker.fault = None
    assert (await submitted(gateway, {"prompt": "other"}, idempotency_key="k")).published


async def test_queue_limit(gateway: Gateway, backends: Backends, broker: FakeBroker, settings: Settings) -> None:
    """The gateway refuses at its own limit, before the broker has to, but still answers a key used before."""
    first = await submitted(Gateway(backends, CATALOGUE, settings), BODY, idempotency_key="k")
    broker.ready = 5
    with pytest.raises(QueueFull):
        await submitted(gateway, BODY)
    assert (await submitted(gateway, BODY, idempotency_key="k")).job_id == first.job_id
    assert [record.job_id for record in await backends.statuses.list()] == [first.job_id]


async def test_queue_limit_without_asking_each_time(gateway: Gateway, broker: FakeBroker) -> None:
    """Jobs submitted at once are accepted while they fit, and the broker is not asked for its depth each time."""
    taken = await asyncio.gather(*(submitted(gateway, BODY) for _ in range(9)), return_exceptions=True)
    assert sum(isinstance(each, QueueFull) for each in taken) == 4
    assert broker.asked == 1
    broker.ready = 4
    assert (await submitted(gateway, BODY)).published


async def test_broker_away(gateway: Gateway, backends: Backends, broker: FakeBroker) -> None:
    """A broker that cannot even be asked leaves no record for the sweeper to run later."""
    broker.depth_fault = BackendUnavailable("broker", "away")
    with pytest.raises(BackendUnavailable):
        await submitted(gateway, BODY)
    assert await backends.statuses.list() == []


async def test_ambiguous(gateway: Gateway, backends: Backends, broker: FakeBroker) -> None:
    """A broker that never answers is asked twice under one message id; then the job can never run, the key is free."""
    broker.hangs = True
    begin = time.monotonic()
    with pytest.raises(PublishUnconfirmed):
        await submitted(gateway, BODY, idempotency_key="k")
    assert time.monotonic() - begin < 3
    assert await backends.statuses.list() == []

    broker.hangs = False
    assert (await submitted(gateway, BODY, idempotency_key="k")).state is State.QUEUED


async def test_ambiguous_but_arrived(gateway: Gateway, backends: Backends, broker: FakeBroker) -> None:
    """A job a worker has begun was accepted, whatever became of the confirm."""
    broker.hangs = True
    submission = asyncio.create_task(submitted(gateway, BODY))
    while not (live := await backends.statuses.list()):
        await asyncio.sleep(0.01)
    await _begin(backends, live[0])

    accepted = await submission
    assert (accepted.job_id, accepted.state) == (live[0].job_id, State.RUNNING)


async def test_accepted_by_another_gateway(
    gateway: Gateway, backends: Backends, broker: FakeBroker, settings: Settings
) -> None:
    """A job that one gateway cannot publish stands when another has accepted it for the same key meanwhile."""
    broker.hangs = True
    submission = asyncio.create_task(submitted(gateway, BODY, idempotency_key="k"))
    while not (live := await backends.statuses.list()):
        await asyncio.sleep(0.01)
    other = Gateway(replace(backends, broker=FakeBroker()), CATALOGUE, settings)
    accepted = await submitted(other, BODY, idempotency_key="k")
    broker.hangs, broker.fault = False, QueueFull("painter")  # whatever its second try is answered

    assert (await submission).job_id == accepted.job_id == live[0].job_id
    assert (await gateway.read(accepted.job_id)).state is State.QUEUED


@pytest.mark.parametrize("given_up_by", ["another gateway", "itself"])
async def test_given_up_is_not_accepted(
    gateway: Gateway, backends: Backends, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch, given_up_by: str
) -> None:
    """A job given up by whoever made it, as the answer of a first call was lost too, is answered 503 and no job."""
    record = gateway._records.make(BODY, None, "k")
    if given_up_by == "another gateway":
        await backends.statuses.create(record)

    async def publish(message: JobMessage, *, bulk: bool) -> None:
        error = JobError(code="not-accepted", message="not confirmed in time")
        outcome = Outcome(State.CANCELED, error=error, release_key=True)
        await backends.statuses.finish(Lease.of_gateway(message.job_id), outcome)
        if given_up_by == "itself":
            raise BackendUnavailable("broker", "away")

    monkeypatch.setattr(broker, "publish", publish)
    with pytest.raises(PublishUnconfirmed):
        await submitted(gateway, BODY, idempotency_key="k")


async def test_replay(gateway: Gateway, broker: FakeBroker) -> None:
    """A key used again gives the same job and publishes nothing; with another body it is refused."""
    first = await submitted(gateway, BODY, idempotency_key="k")
    again = await submitted(gateway, BODY, idempotency_key="k")
    assert (again.job_id, len(broker.published)) == (first.job_id, 1)
    with pytest.raises(IdempotencyMismatch):
        await submitted(gateway, {"prompt": "blue mug"}, idempotency_key="k")


async def test_replay_while_in_flight(gateway: Gateway, broker: FakeBroker) -> None:
    """A second request with the key of one still being answered is told to come back."""
    broker.hangs = True
    first = asyncio.create_task(submitted(gateway, BODY, idempotency_key="k"))
    await asyncio.sleep(0.2)
    with pytest.raises(IdempotencyInFlight):
        await submitted(gateway, BODY, idempotency_key="k")
    first.cancel()


async def test_replay_of_an_unpublished_record(gateway: Gateway, backends: Backends, broker: FakeBroker) -> None:
    """The key of a record a crash kept from its queue publishes it before answering."""
    broker.hangs = True
    crashed = asyncio.create_task(submitted(gateway, BODY, idempotency_key="k"))
    await asyncio.sleep(0.2)
    crashed.cancel()
    await asyncio.wait([crashed])
    broker.hangs = False

    accepted = await submitted(gateway, BODY, idempotency_key="k")
    assert [message.job_id for message in broker.published] == [accepted.job_id]
    assert (await backends.statuses.get(accepted.job_id)).published


async def test_sweeper_publishes_what_was_left_behind(
    gateway: Gateway, backends: Backends, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record whose gateway died before the message is published by the sweeper, once, under its message id."""
    monkeypatch.setattr("services.api.core.lane_sweep.UNCONFIRMED_SECONDS", -1.0)
    record = gateway._records.make(BODY, None, None)
    await backends.statuses.create(record)
    sweeper = _sweeper(gateway, backends)
    await sweeper.sweep()
    broker.ready = 1
    await sweeper.sweep()

    assert [message.message_id for message in broker.published] == [record.message.message_id]
    assert (await backends.statuses.get(record.job_id)).published


@pytest.mark.parametrize("fault", [QueueFull("painter"), BackendUnavailable("broker", "away")], ids=["full", "away"])
async def test_accepted_though_not_confirmed(
    backends: Backends, broker: FakeBroker, settings: Settings, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    """A job that was accepted while the status store failed is not given up for trouble that the broker has later."""
    monkeypatch.setattr("services.api.core.lane_sweep.UNCONFIRMED_SECONDS", -1.0)
    unconfirming = replace(backends, statuses=StatusesWithoutConfirm(backends.statuses))
    accepted = await submitted(Gateway(unconfirming, CATALOGUE, settings), BODY, idempotency_key="k")
    broker.published.clear()

    broker.fault = fault
    gateway = Gateway(backends, CATALOGUE, settings)
    await _sweeper(gateway, backends).sweep()
    with pytest.raises(type(fault)):
        await submitted(gateway, BODY, idempotency_key="k")
    assert (await gateway.read(accepted.job_id)).state is State.QUEUED

    broker.fault = None
    await _sweeper(gateway, backends).sweep()
    assert [message.job_id for message in broker.published] == [accepted.job_id]
    assert (await submitted(gateway, BODY, idempotency_key="k")).job_id == accepted.job_id


async def test_sweeper_does_not_bring_back_what_was_removed(
    gateway: Gateway, backends: Backends, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record left behind that is removed while the sweeper goes through the list is neither published nor made."""
    monkeypatch.setattr("services.api.core.lane_sweep.UNCONFIRMED_SECONDS", -1.0)
    record = await backends.statuses.create(gateway._records.make(BODY, None, None))
    find = backends.statuses.lanes

    async def removed_since(most: int) -> Sequence[Lane]:
        lanes = await find(most)
        for each in [job for lane in lanes for job in lane.jobs]:
            await gateway.remove(each.job_id)
        return lanes

    monkeypatch.setattr(backends.statuses, "lanes", removed_since)
    await _sweeper(gateway, backends).sweep()

    assert broker.published == []
    with pytest.raises(JobRemoved):
        await gateway.read(record.job_id)


async def test_sweeper_expires(gateway: Gateway, backends: Backends) -> None:
    """A job not begun in its time is expired, with a manifest; one that began is left alone."""
    late, begun = await submitted(gateway, BODY), await submitted(gateway, BODY)
    await _begin(backends, begun)
    for record in (late, begun):
        await backends.statuses.remove(record.job_id)
        message = record.message.model_copy(update={"expires_at": time.time() - 1})
        attempt = 1 if record is begun else 0
        await backends.statuses.create(record.model_copy(update={"message": message, "attempt": attempt}))
    await _sweeper(gateway, backends).sweep()

    assert (await gateway.read(late.job_id)).state is State.EXPIRED
    assert (await gateway.read(begun.job_id)).state is State.QUEUED
    await backends.statuses.remove(late.job_id)
    assert (await gateway.read(late.job_id)).state is State.EXPIRED


async def test_sweeper_republishes_a_lost_message(gateway: Gateway, backends: Backends, broker: FakeBroker) -> None:
    """A job whose message the queue lost is published again, under a new message id, after two quiet sweeps."""
    record = await submitted(gateway, BODY)
    broker.published.clear()
    sweeper = _sweeper(gateway, backends)
    await sweeper.sweep()
    assert broker.published == []
    await sweeper.sweep()

    assert [message.job_id for message in broker.published] == [record.job_id]
    assert broker.published[0].message_id != record.message.message_id


async def test_lost_message_is_found_although_the_queue_is_busy(
    gateway: Gateway, backends: Backends, broker: FakeBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job is published again, once, when a later one was begun and the jobs that were made then have ended."""
    monkeypatch.setattr("services.common.statuses.sqlite_lanes.PASSED_SECONDS", 0)
    lost, waiting, under_way, later = [await submitted(gateway, BODY) for _ in range(4)]
    await backends.statuses.create(waiting)  # its message is the last of the queue
    broker.published.clear()
    broker.ready, sweeper = 1, _sweeper(gateway, backends)
    lease = await _begin(backends, under_way)
    for _ in range(3):
        await sweeper.sweep()
    assert broker.published == [], "it may be in the hands of the worker that makes the other job"

    await _begin(backends, later)  # the load does not end
    await backends.statuses.finish(lease, Outcome(State.SUCCEEDED))
    for _ in range(4):
        await sweeper.sweep()
    assert [message.job_id for message in broker.published] == [lost.job_id]


async def test_lost_message_of_a_silent_worker(
    gateway: Gateway, backends: Backends, broker: FakeBroker, tmp_path: Path
) -> None:
    """A job whose worker no longer renews its lease is published again when the queue is empty."""
    record = await submitted(gateway, BODY)
    broker.published.clear()
    async with open_sqlite_status_store(tmp_path / "studio.db", Limits(lease_seconds=0.001)) as brief:
        with_brief_leases = replace(backends, statuses=brief)
        await _begin(with_brief_leases, record)
        sweeper = _sweeper(gateway, with_brief_leases)
        async with asyncio.timeout(5):
            while not broker.published:
                await sweeper.sweep()
    assert [message.job_id for message in broker.published] == [record.job_id]


async def test_sweeper_ends_a_running_job_that_has_a_manifest(
    gateway: Gateway, backends: Backends, broker: FakeBroker, tmp_path: Path
) -> None:
    """A job that a store set back in time takes for running ends as its manifest says."""
    record = await submitted(gateway, BODY)
    async with open_sqlite_status_store(tmp_path / "studio.db", Limits(lease_seconds=0.001)) as set_back:
        await _begin(replace(backends, statuses=set_back), record)
        ended = record.model_copy(update={"state": State.SUCCEEDED, "finished_at": time.time()})
        await gateway._manifests.write(ended)
        broker.published.clear()
        sweeper = _sweeper(gateway, replace(backends, statuses=set_back))
        for _ in range(3):
            await asyncio.sleep(0.01)
            await sweeper.sweep()

    assert (await gateway.read(record.job_id)).state is State.SUCCEEDED
    assert broker.published == []


async def test_sweeper_trusts_a_busy_queue(gateway: Gateway, backends: Backends, broker: FakeBroker) -> None:
    """Nothing is published again while messages wait or a worker holds a job of the model."""
    await submitted(gateway, BODY)
    held = await submitted(gateway, BODY)
    broker.published.clear()
    sweeper = _sweeper(gateway, backends)
    broker.ready = 1
    for _ in range(3):
        await sweeper.sweep()
    broker.ready = 0
    await _begin(backends, held)
    for _ in range(3):
        await sweeper.sweep()
    assert broker.published == []


async def test_sweeper_finds_the_manifest(gateway: Gateway, backends: Backends, broker: FakeBroker) -> None:
    """A job whose record was made again after it had finished is not run again."""
    record = await submitted(gateway, BODY)
    lease = await _begin(backends, record)
    warnings = (JobWarning(code="prompt-cut", message="the last word was cut"),)
    await backends.statuses.finish(lease, Outcome(State.SUCCEEDED, warnings=warnings))
    await gateway._manifests.write(await gateway.read(record.job_id))
    await backends.statuses.remove(record.job_id)
    await backends.statuses.create(record)
    broker.published.clear()
    sweeper = _sweeper(gateway, backends)
    for _ in range(3):
        await sweeper.sweep()

    assert broker.published == []
    ended = await gateway.read(record.job_id)
    assert (ended.state, ended.warnings) == (State.SUCCEEDED, warnings)


async def test_one_tombstone_does_not_stop_the_others(gateway: Gateway, backends: Backends) -> None:
    """One that cannot be read says that its job was removed; the removals of others are completed all the same."""
    newer, damaged, record = new_job_id(), new_job_id(), await submitted(gateway, BODY)
    body = b'{"schema_version": 2, "job_id": "x"}'
    await backends.objects.put(f"removed/{newer}.json", body, "application/json")
    await backends.objects.put(f"removed/{damaged}.json", b"{", "application/json")
    await gateway._manifests.bury(record.job_id, record.message.owner)
    await _sweeper(gateway, backends).sweep()

    for removed in (damaged, record.job_id):
        with pytest.raises(JobRemoved):
            await gateway.read(removed)
    with pytest.raises(NewerVersion):
        await gateway.read(newer)


async def test_cancel_writes_the_manifest(gateway: Gateway, backends: Backends) -> None:
    """A queued job canceled is canceled for good, also when the status store forgets it."""
    record = await submitted(gateway, BODY)
    assert (await gateway.cancel(record.job_id)).state is State.CANCELED
    await backends.statuses.remove(record.job_id)
    assert (await gateway.cancel(record.job_id)).state is State.CANCELED


async def test_removed_twice_at_once(gateway: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests that remove a live job at the same moment both succeed."""
    record = await submitted(gateway, BODY)
    bury = gateway._manifests.bury

    async def overtaken(job_id: str, owner: str | None) -> None:
        monkeypatch.undo()
        await bury(job_id, owner)
        await gateway.remove(job_id)

    monkeypatch.setattr(gateway._manifests, "bury", overtaken)
    await gateway.remove(record.job_id)

    with pytest.raises(JobRemoved):
        await gateway.read(record.job_id)


async def test_unknown_job(gateway: Gateway) -> None:
    """A string that is no job id is not found, however it is spelt."""
    for job_id in ("", "x", "../../etc/passwd", "00000000-0000-4000-8000-000000000000"):
        with pytest.raises(JobNotFound):
            await gateway.read(job_id)


async def test_slow_confirmation(backends: Backends, settings: Settings, broker: FakeBroker) -> None:
    """A job whose message is queued is accepted, although the request has no time left to note that."""
    slow = replace(backends, statuses=SlowStatuses(backends.statuses, 1.5))
    began = time.monotonic()
    with time_budget(Budget(BUDGET_SECONDS)):
        record, _ = await Gateway(slow, CATALOGUE, settings).accept(BODY)
    assert time.monotonic() - began < 3.0
    assert record.published
    assert [message.job_id for message in broker.published] == [record.job_id]


async def test_unconfirmed_without_time(backends: Backends, settings: Settings, broker: FakeBroker) -> None:
    """A request that runs out of time while it publishes leaves what a crash leaves: its key publishes the job."""
    broker.hangs = True
    slow = replace(backends, statuses=SlowStatuses(backends.statuses, 1.5))
    began = time.monotonic()
    with time_budget(Budget(BUDGET_SECONDS)), pytest.raises(BackendUnavailable):
        await Gateway(slow, CATALOGUE, settings).accept(BODY, idempotency_key="once")
    assert time.monotonic() - began < 3.0
    broker.hangs = False
    record, known = await Gateway(backends, CATALOGUE, settings).accept(BODY, idempotency_key="once")
    assert (known, record.state, record.published) == (True, State.QUEUED, True)
    assert [message.job_id for message in broker.published] == [record.job_id]
