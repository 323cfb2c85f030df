"""A hundred jobs of one client do not delay the single job of another."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.api_keys import LINES, bearer
from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

BATCH = 4  # the scripted adapter's
JOBS = 100


@pytest.fixture(params=["embedded", pytest.param("distributed", marks=pytest.mark.services)])
def system(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[System]:
    backends = {}
    if request.param == "distributed":
        stack: Stack = request.getfixturevalue("stack")
        with redis.Redis.from_url(stack.statuses_url) as client:
            client.flushall()
        backends = stack.environment()
    with running_system(tmp_path, {**backends, "STUDIO_KEYS": LINES, "STUDIO_RATE_LIMIT": "none"}) as running:
        yield running


def _submit(system: System, name: str, prompt: str) -> str:
    system.client.headers.update(bearer(name))
    made: str = system.submit(prompt)["id"]
    return made


@pytest.mark.parametrize("workers", [1, 2])
def test_one_is_not_held_up_by_a_hundred(system: System, workers: int) -> None:
    """Only a few of one client's hundred queued jobs run before the job that another client submits."""
    system.start_gateway()
    for _ in range(workers):
        system.start_worker()
    bulk = [_submit(system, "alice", f"SLOW vase {number}") for number in range(JOBS)]
    system.wait_for(bulk[0], lambda job: job["state"] != "queued")
    alone = _submit(system, "bob", "SLOW lamp")
    before = len(system.generation_counts())

    assert system.wait(alone)["state"] == "succeeded"

    begun = len(system.generation_counts().keys() - {alone}) - before
    # The running calls, the job's own call, and at most one call of the bulk lane; a hundred jobs fill 25 calls.
    assert begun <= 3 * BATCH * workers
