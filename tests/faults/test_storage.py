"""The object store refuses results for longer than an operator needs to change its credentials."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

pytestmark = pytest.mark.services


@pytest.fixture
def system(stack: Stack, tmp_path: Path) -> Iterator[System]:
    with redis.Redis.from_url(stack.statuses_url) as client:
        client.flushall()
    with running_system(tmp_path, stack.environment()) as running:
        yield running


def test_storage_denied(system: System, stack: Stack) -> None:
    """Jobs whose results are refused fail with storage-denied, are generated once, and do not stop the next job."""
    system.start_gateway()
    system.start_worker()
    jobs = [system.submit("SLOW bowl"), system.submit("vase")]
    system.wait_for(jobs[0]["id"], lambda now: now["state"] == "running")
    with stack.s3.other_keys():
        failed = [system.wait(job["id"]) for job in jobs]
    assert {job["error"]["code"] for job in failed} == {"storage-denied"}
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"
    assert set(system.generation_counts().values()) == {1}
