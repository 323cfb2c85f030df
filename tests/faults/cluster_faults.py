"""Faults of a cluster of RabbitMQ, whose quorum queues have a member on each of its three nodes."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.faults.scenario import Scenario, ScenarioRun
from tests.faults.worker_faults import until_busy
from tests.support.servers.rabbitmq import RabbitMQServer

CLUSTER: Final = ("cluster",)


def cluster_scenarios() -> list[Scenario]:
    return [
        Scenario(
            "broker-node-killed",
            "kill -9 of the node of a RabbitMQ cluster that all clients use, and of the next one they use then",
            _node_killed,
            CLUSTER,
        )
    ]


@contextmanager
def _node_killed(run: ScenarioRun) -> Iterator[None]:
    """Kill two nodes, one after the other. The proxy leads clients to the next node, as a load balancer does."""
    broker, nodes = run.backends.proxies["broker"], run.backends.servers.nodes
    _check_members(run, nodes)
    for node in nodes:
        node.sync()
    first, second, third = nodes
    with _killed(first):
        broker.lead_to(second.port)
        yield
        until_busy(run)
    until_busy(run)
    with _killed(second):
        broker.lead_to(third.port)
        run.load.wait_until_accepted()


def _check_members(run: ScenarioRun, nodes: tuple[RabbitMQServer, ...]) -> None:
    """Check that every queue of the run's model has a member on each node."""
    lines = nodes[0].ctl("list_queues", "name", "members", "--no-table-headers").splitlines()
    queues = [line for line in lines if run.system.model in line]
    alone = [line for line in queues if not all(node.node in line for node in nodes)]
    if alone or not queues:
        raise AssertionError(f"queues without a member on each node: {alone or lines}")


@contextmanager
def _killed(node: RabbitMQServer) -> Iterator[None]:
    node.kill()
    try:
        yield
    finally:
        node.start()
