"""The backends of a scenario: embedded, or real servers with a proxy in front of each."""

import asyncio
import sqlite3
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeVar

import redis

from services.common.brokers.rabbitmq import open_rabbitmq_broker
from services.common.brokers.sqlite import open_sqlite_broker
from services.common.ports import Broker, DeadLetter
from services.common.schemas import JobMessage
from tests.faults.proxy import Proxy, running_proxies
from tests.support.servers.stack import Stack, start_stack
from tests.support.system import System

T = TypeVar("T")

Backend = Literal["embedded", "distributed", "cluster"]  # the last with three nodes of RabbitMQ
NODES: Final = 3


@dataclass(frozen=True)
class ScenarioBackends:
    """Backends are embedded without a `stack`. With one, `proxies` are named broker, redis and s3."""

    stack: Stack | None = None
    proxies: Mapping[str, Proxy] = field(default_factory=dict)

    @property
    def backend(self) -> Backend:
        if self.stack is None:
            return "embedded"
        return "distributed" if len(self.stack.nodes) == 1 else "cluster"

    @property
    def servers(self) -> Stack:
        if self.stack is None:
            raise RuntimeError("embedded backends have no servers")
        return self.stack

    def environment(self) -> dict[str, str]:
        """Return the STUDIO_* variables that lead a service through the proxies."""
        if self.stack is None:
            return {}
        found = self.stack.environment()
        for server, name in ((self.stack.rabbitmq, "broker"), (self.stack.redis, "redis"), (self.stack.s3, "s3")):
            direct, proxied = f"127.0.0.1:{server.port}", f"127.0.0.1:{self.proxies[name].port}"
            found = {variable: value.replace(direct, proxied) for variable, value in found.items()}
        return found

    def clear(self) -> None:
        """Empty Redis."""
        if self.stack is not None:
            with redis.Redis.from_url(self.stack.statuses_url) as client:
                client.flushall()

    def depth(self, system: System) -> int:
        """Return how many messages wait for the system's model, asked past the proxies.

        On embedded backends the count includes the messages that a dead worker holds.
        """
        if self.stack:
            return self._ask(system, lambda broker: broker.depth(system.model))
        with closing(sqlite3.connect(system.folder / "studio.db")) as connection:
            count: int = connection.execute("SELECT count(*) FROM messages").fetchone()[0]
        return count

    def dead_letters(self, system: System) -> list[DeadLetter]:
        """Return the dead letters of the system's model."""
        letters = self._ask(system, lambda broker: broker.dead_letters(1000))
        return [letter for letter in letters if letter.model.startswith(system.model)]  # of either lane

    def publish(self, system: System, messages: Sequence[JobMessage]) -> None:
        """Publish these messages directly to the queue, past the gateway."""

        async def publish(broker: Broker) -> None:
            for message in messages:
                await broker.publish(message)

        self._ask(system, publish)

    def _ask(self, system: System, question: Callable[[Broker], Awaitable[T]]) -> T:
        async def ask() -> T:
            file = system.folder / "studio.db"
            opened = (
                open_rabbitmq_broker(self.stack.broker_url)
                if self.stack
                else open_sqlite_broker(file, queue_limit=10_000, lease_seconds=10)
            )
            async with opened as broker:
                return await question(broker)

        return asyncio.run(ask())


@contextmanager
def proxied_stack(stack: Stack) -> Iterator[ScenarioBackends]:
    """Put a proxy in front of each server of the stack."""
    ports = [stack.rabbitmq.port, stack.redis.port, stack.s3.port]
    with running_proxies(ports) as (broker, redis_, s3):
        yield ScenarioBackends(stack, {"broker": broker, "redis": redis_, "s3": s3})


@contextmanager
def cluster(folder: Path) -> Iterator[ScenarioBackends]:
    """Start servers with a cluster of RabbitMQ; the proxy leads to its first node, until a fault changes that."""
    with start_stack(folder, NODES) as stack, proxied_stack(stack) as backends:
        yield backends
