"""How long a worker waits for a store that does not let it begin a job."""

import asyncio
from types import SimpleNamespace
from typing import cast

import pytest

from services.common.backends import Backends
from services.common.errors import BackendUnavailable, NewerVersion, RecordUnreadable, StorageDenied
from services.common.ports import Verdict
from services.inference.job.lease import JobLease
from tests.support.messages import new_message

pytestmark = pytest.mark.anyio


class Moody:
    """A status store that raises these, one a call, before it lets anybody begin."""

    def __init__(self, *moods: Exception) -> None:
        self._moods = [*moods]

    async def begin(self, *_: object) -> Verdict:
        if self._moods:
            raise self._moods.pop(0)
        return Verdict.HELD


def claim(*moods: Exception) -> JobLease:
    backends = SimpleNamespace(statuses=Moody(*moods), objects=None)
    return JobLease(cast("Backends", backends), new_message(), 0, max_attempts=3)


@pytest.mark.parametrize(
    "lasting", [NewerVersion("objects", "a manifest", 2), RecordUnreadable("job"), StorageDenied("no")]
)
async def test_what_does_not_pass_is_not_waited_for(lasting: BackendUnavailable) -> None:
    """A job that cannot be begun now or later gives way to the others at once."""
    async with asyncio.timeout(5):
        with pytest.raises(type(lasting)):
            await claim(lasting).begin()


async def test_outage_is_waited_for() -> None:
    """A store that is away for a while costs the job nothing but that while."""
    async with asyncio.timeout(5):
        assert await claim(BackendUnavailable("statuses", "away")).begin() is Verdict.HELD
