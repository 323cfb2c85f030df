"""Setting the time of day, by ten minutes forward or back, changes no lease and no time to live."""

import asyncio

import pytest

from services.common.cache import Cache
from services.common.ids import JobIds
from services.common.ports import Limits, StatusStore, Verdict
from services.common.schemas import Progress, State
from tests.contracts.conftest import OpenStatuses
from tests.support.job_attempts import DONE, again, lease_of, running
from tests.support.wall_clock import WallClock, wall_clock

pytestmark = pytest.mark.anyio

TEN_MINUTES = 600.0


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> WallClock:
    return wall_clock(monkeypatch)


async def is_leased(statuses: StatusStore, job_id: str) -> bool:
    return any(job_id in lane.leased for lane in await statuses.lanes(10))


async def test_lease_of_a_dead_worker_runs_out(open_statuses: OpenStatuses, clock: WallClock) -> None:
    """A lease that is not renewed runs out after its own time, though the clock was set back."""
    async with open_statuses(Limits(lease_seconds=1)) as statuses:
        message, _ = await running(statuses)
        clock.ahead -= TEN_MINUTES
        other = again(message)
        async with asyncio.timeout(5):
            while (verdict := await statuses.begin(other, lease_of(other))) is Verdict.DUPLICATE:
                await asyncio.sleep(0.05)

    assert verdict is Verdict.BUSY, "it may be watched, and taken over"


async def test_ended_lease_is_seen(open_statuses: OpenStatuses, clock: WallClock) -> None:
    """A lease is seen to have run out, by a reader whose clock was set back or goes behind."""
    async with open_statuses(Limits(lease_seconds=0.2)) as statuses:
        message, _ = await running(statuses)
        clock.ahead -= TEN_MINUTES
        async with asyncio.timeout(5):
            while await is_leased(statuses, message.job_id):
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("step", [TEN_MINUTES, -TEN_MINUTES])
async def test_living_lease_is_kept(statuses: StatusStore, clock: WallClock, step: float) -> None:
    """A worker keeps its job when the clock is set: no other message takes it, and it is seen to be leased."""
    message, lease = await running(statuses)
    other = again(message)
    for _ in range(3):
        clock.ahead += step
        assert await statuses.begin(other, lease_of(other)) is Verdict.DUPLICATE
        assert await is_leased(statuses, message.job_id)
        assert await statuses.progress(lease, Progress(step=1, total=2)) is Verdict.HELD

    assert await statuses.finish(lease, DONE) is Verdict.HELD
    assert (await statuses.get(message.job_id)).state is State.SUCCEEDED


async def test_value_goes_in_time(cache: Cache, clock: WallClock) -> None:
    """A value of the cache is gone after its time, and not before, whatever was done to the clock."""
    await cache.put("workers/short", b"1", 0.3)
    await cache.put("workers/long", b"2", 60)
    clock.ahead -= TEN_MINUTES
    async with asyncio.timeout(5):
        while await cache.list("workers") != {"workers/long": b"2"}:
            await asyncio.sleep(0.02)
    assert await cache.get("workers/short") is None
    clock.ahead += 2 * TEN_MINUTES

    assert await cache.get("workers/long") == b"2"


def test_ids_follow_their_clock(clock: WallClock) -> None:
    """Ids are in order though many are made in a millisecond, and follow a clock that was set back."""
    now = [1_000_000.0]
    ids = JobIds(lambda: now[0])
    made = [ids.new() for _ in range(50)]
    assert made == sorted(set(made))
    now[0] -= TEN_MINUTES

    assert ids.new() < made[0]
