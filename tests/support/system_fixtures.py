"""Fixture for tests of the whole system: embedded, and distributed under the mark `services`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.support.system import System, running_system


@pytest.fixture(params=["embedded", pytest.param("distributed", marks=pytest.mark.services)])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    """A system without processes; each test starts those it needs."""
    backends: dict[str, str] = {}
    if request.param == "distributed":
        stack = request.getfixturevalue("stack")
        with redis.Redis.from_url(stack.statuses_url) as client:
            client.flushall()
        backends = stack.environment()
    with running_system(tmp_path, backends) as running:
        yield running
