"""The heartbeat of a job, which must end with the job whatever its claim does."""

import asyncio
from typing import cast

import pytest

from services.common.schemas import Progress
from services.inference.job.heartbeat import Heartbeat
from services.inference.job.lease import JobLease
from tests.support.fakes import UncancellableLease

pytestmark = pytest.mark.anyio


async def test_swallowed_cancellation_does_not_keep_it_alive() -> None:
    """The heartbeat ends with its job although the status store swallows the cancellation."""
    claim = UncancellableLease()
    heartbeat = Heartbeat(cast("JobLease", claim))

    async with asyncio.timeout(5), heartbeat.beating():
        heartbeat.report(Progress(step=1, total=2))
        await claim.asked.wait()

    assert not heartbeat.lost
