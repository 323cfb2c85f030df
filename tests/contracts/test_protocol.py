"""The status store and the broker together, under any order of what may be done to them."""

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.contracts.conftest import OpenBroker, OpenStatuses
from tests.contracts.protocol_machine import ProtocolMachine

EMBEDDED = settings(
    max_examples=60, stateful_step_count=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
DISTRIBUTED = settings(EMBEDDED, max_examples=12, stateful_step_count=25)


@pytest.mark.parametrize(
    ("open_broker", "open_statuses", "thoroughly"),
    [
        pytest.param("sqlite", "sqlite", EMBEDDED, id="embedded"),
        pytest.param("rabbitmq", "redis", DISTRIBUTED, id="distributed", marks=pytest.mark.services),
    ],
    indirect=["open_broker", "open_statuses"],
)
def test_any_order_keeps_the_promises(
    open_broker: OpenBroker, open_statuses: OpenStatuses, thoroughly: settings
) -> None:
    """No terminal state changes, no zombie changes a job, attempts are bounded, and every message is in one place."""
    run_state_machine_as_test(ProtocolMachine.of(open_broker, open_statuses), settings=thoroughly)
