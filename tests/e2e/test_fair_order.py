"""Nobody's hundred jobs hold up another's one, with a worker that is busy with them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.api_keys import LINES, bearer
from tests.support.servers.stack import Stack
from tests.support.system import System, running_system

BATCH = 4  # the painter's
JOBS = 100


@pytest.fixture(params=["embedded", pytest.param("distributed", marks=pytest.mark.services)])
def system(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[System]:
    backends = {}
    if request.param == "distributed":
        stack: Stack = request.getfixturevalue("stack")
        with redis.Redis.from_url(stack.statuses_url) as client:
            client.flushall()
        backends = stack.environment()
    with running_system(tmp_path, {**backends, "STUDIO_KEYS": LINES, "STUDIO_RATE_LIMIT": ""}) as running:
        yield running


def _submit(system: System, name: str, prompt: str) -> str:
    system.client.headers.update(bearer(name))
    made: str = system.submit(prompt)["id"]
    return made


@pytest.mark.parametrize("workers", [1, 2])
def test_one_is_not_held_up_by_a_hundred(system: System, workers: int) -> None:
    """Of whoever has a hundred jobs in the queue only a few are made before the one that somebody else asks for."""
    system.start_gateway()
    for _ in range(workers):
        system.start_worker()
    crowd = [_submit(system, "alice", f"SLOW vase {number}") for number in range(JOBS)]
    system.wait_for(crowd[0], lambda job: job["state"] != "queued")
    alone = _submit(system, "bob", "SLOW lamp")
    before = len(system.generation_counts())

    assert system.wait(alone)["state"] == "succeeded"

    begun = len(system.generation_counts().keys() - {alone}) - before
    # The calls under way, the one it is in, and at most one that is the crowd's turn; a hundred fill 25.
    assert begun <= 3 * BATCH * workers
