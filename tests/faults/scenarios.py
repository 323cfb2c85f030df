"""All scenarios, in the order of the table."""

from tests.faults.cluster_faults import cluster_scenarios
from tests.faults.gateway_faults import gateway_scenarios
from tests.faults.input_faults import input_scenarios
from tests.faults.message_faults import message_scenarios
from tests.faults.network_faults import network_scenarios
from tests.faults.scenario import Scenario
from tests.faults.server_faults import server_scenarios
from tests.faults.speech_faults import speech_scenarios
from tests.faults.worker_faults import worker_scenarios


def scenarios() -> list[Scenario]:
    return [
        *worker_scenarios(),
        *message_scenarios(),
        *gateway_scenarios(),
        *input_scenarios(),
        *speech_scenarios(),
        *server_scenarios(),
        *cluster_scenarios(),
        *network_scenarios(),
    ]
