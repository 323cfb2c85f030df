"""Every scenario of the fault table with a few jobs; `just chaos` plays them with fifty."""

from collections.abc import Iterator

import pytest

from tests.faults.backends import Ground, distributed_ground
from tests.faults.runner import play
from tests.faults.scenario import Scenario
from tests.faults.scenarios import scenarios
from tests.support.servers.stack import Stack

JOBS = 10
SCENARIOS = {scenario.name: scenario for scenario in scenarios()}


@pytest.fixture(scope="module")
def distributed(stack: Stack) -> Iterator[Ground]:
    with distributed_ground(stack) as ground:
        yield ground


def _having(backend: str) -> list[str]:
    return [name for name, scenario in SCENARIOS.items() if backend in scenario.backends]


@pytest.mark.parametrize("name", _having("embedded"))
def test_embedded(name: str) -> None:
    """No accepted job is lost, doubled, given another's picture or set back, whatever happens to whom."""
    _holds(SCENARIOS[name], Ground())


@pytest.mark.services
@pytest.mark.parametrize("name", _having("distributed"))
def test_distributed(name: str, distributed: Ground) -> None:
    """No accepted job is lost, doubled, given another's picture or set back, whatever happens to whom."""
    _holds(SCENARIOS[name], distributed)


def _holds(scenario: Scenario, ground: Ground) -> None:
    result = play(scenario, ground, JOBS)
    assert result.ok, result.line(as_json=False)
