"""A place in the line never moves back, whatever the gateways see."""

import asyncio
import time
from typing import cast

from hypothesis import given
from hypothesis import strategies as st

from services.api.core.model_queue import LiveJob, ModelQueue
from services.api.core.queue_positions import QueuePositions
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.schemas import JobMessage, State, StatusRecord
from tests.support.fake_backends import FakeStatuses, InMemoryCache

MODEL = Model(name="m", title="M", modality="txt2img", adapter="none", source=".", default=True)
CATALOGUE = Catalogue(models={"m": MODEL}, styles={})


def job(number: int) -> StatusRecord:
    """Make a live job that was accepted; jobs with an odd number are bulk."""
    job_id, long_ago = f"00000000-0000-7000-8000-{number:012d}", time.time() - 60
    message = JobMessage(
        job_id=job_id,
        model="m",
        modality="txt2img",
        params={"prompt": "a red cup"},
        created_at=long_ago,
        expires_at=long_ago + 3600,
    )
    return StatusRecord(job_id=job_id, message=message, created_at=long_ago, bulk=number % 2 == 1, published=True)


# Who is asked, whether it looks anew or remembers, and which jobs are live then: records come back after a flush, and
# the clocks of gateways differ, so any may appear at any time.
Poll = tuple[int, bool, set[int]]


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.sets(st.integers(0, 9)))))
def test_position_never_grows(polls: list[Poll]) -> None:
    """Whichever gateway is polled, and however old what it knows is, no position is larger than the one before."""
    positions = asyncio.run(_positions(polls))
    assert positions == sorted(positions, reverse=True)
    assert all(0 <= position <= 9 for position in positions)


def test_bulk_is_behind_the_others() -> None:
    """Waiting bulk jobs come after all other waiting jobs, whatever their age; running jobs come before both."""
    jobs = [job(number) for number in range(6)]
    jobs[1] = jobs[1].model_copy(update={"state": State.RUNNING})
    queue = ModelQueue(MODEL, [LiveJob.of(each) for each in jobs], [])

    assert [queue.position(each.job_id) for each in jobs] == [0, 1, 2, 4, 3, 5]


async def _positions(polls: list[Poll]) -> list[int]:
    statuses, cache, mine = FakeStatuses(), InMemoryCache(), job(5)
    backends = cast("Backends", type("Fakes", (), {"statuses": statuses, "cache": cache, "clock": time.time}))
    gateways = [QueuePositions(backends, CATALOGUE) for _ in range(3)]
    positions: list[int] = []
    for number, anew, live in polls:
        statuses.live = [job(each) for each in sorted(live)]
        if anew:
            gateways[number] = QueuePositions(backends, CATALOGUE)
        place = await gateways[number].place_of(mine)
        assert place is not None
        positions.append(place.position)
    return positions
