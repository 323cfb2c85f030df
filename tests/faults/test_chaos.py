"""Every scenario of the fault table with a few jobs; `just chaos` runs them with fifty."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.backends import ScenarioBackends, cluster, proxied_stack
from tests.faults.runner import run_scenario
from tests.faults.scenario import Scenario
from tests.faults.scenarios import scenarios
from tests.support.servers.stack import Stack

JOBS = 10
SCENARIOS = {scenario.name: scenario for scenario in scenarios()}


@pytest.fixture(scope="module")
def distributed(stack: Stack) -> Iterator[ScenarioBackends]:
    with proxied_stack(stack) as backends:
        yield backends


def _names_for(backend: str) -> list[str]:
    return [name for name, scenario in SCENARIOS.items() if backend in scenario.backends]


@pytest.mark.parametrize("name", _names_for("embedded"))
def test_embedded(name: str) -> None:
    """No accepted job is lost, doubled, shows another job's image or goes back, whichever fault occurs."""
    _holds(SCENARIOS[name], ScenarioBackends())


@pytest.mark.services
@pytest.mark.parametrize("name", _names_for("distributed"))
def test_distributed(name: str, distributed: ScenarioBackends) -> None:
    """No accepted job is lost, doubled, shows another job's image or goes back, whichever fault occurs."""
    _holds(SCENARIOS[name], distributed)


@pytest.mark.services
@pytest.mark.parametrize("name", _names_for("cluster"))
def test_cluster(name: str, tmp_path: Path) -> None:
    """No accepted job is lost, doubled, shows another job's image or goes back when nodes of RabbitMQ are killed."""
    with cluster(tmp_path) as backends:
        _holds(SCENARIOS[name], backends)


def _holds(scenario: Scenario, backends: ScenarioBackends) -> None:
    result = run_scenario(scenario, backends, JOBS)
    assert result.ok, result.line(as_json=False)
