"""The distributed backends for tests, fault tests and benchmarks: `with start_stack(folder) as stack`.

Private RabbitMQ, Redis and S3 servers run as child processes on free loopback ports. A missing server program is an
error that names the command which installs it, never a skip.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.servers.rabbitmq import RabbitMQServer
from tests.support.servers.redis import RedisServer
from tests.support.servers.s3 import S3Server


@dataclass(frozen=True)
class Stack:
    """The URLs of the servers, and the servers, each with `kill`, `stop`, `start`, `pause` and `resume`.

    `nodes` are the nodes of RabbitMQ's cluster, of which `rabbitmq` is the first.
    """

    broker_url: str
    statuses_url: str
    objects_url: str
    s3_access_key: str
    s3_secret_key: str
    rabbitmq: RabbitMQServer
    redis: RedisServer
    s3: S3Server
    nodes: tuple[RabbitMQServer, ...]

    def environment(self) -> dict[str, str]:
        """Return the STUDIO_* variables that point a service at these servers."""
        return {
            "STUDIO_BROKER_URL": self.broker_url,
            "STUDIO_STATUSES_URL": self.statuses_url,
            "STUDIO_OBJECTS_URL": self.objects_url,
            "STUDIO_S3_ACCESS_KEY": self.s3_access_key,
            "STUDIO_S3_SECRET_KEY": self.s3_secret_key,
        }


@contextmanager
def start_stack(folder: Path, nodes: int = 1) -> Iterator[Stack]:
    """Start the servers with their data below the folder, RabbitMQ with `nodes`, and stop them when the block ends."""
    rabbitmq, redis, s3 = (
        RabbitMQServer(folder / "rabbitmq"),
        RedisServer(folder / "redis"),
        S3Server(folder / "s3"),
    )
    others = [RabbitMQServer(folder / f"rabbitmq-{number}", first=rabbitmq) for number in range(2, nodes + 1)]
    with ExitStack() as running:
        running.callback(redis.stop)
        redis.start()
        running.callback(s3.stop)
        s3.start()
        running.callback(rabbitmq.close)
        rabbitmq.start()
        for other in others:
            running.callback(other.close)
            other.start()
        yield Stack(
            broker_url=rabbitmq.url,
            statuses_url=redis.url,
            objects_url=s3.url,
            s3_access_key=s3.access_key,
            s3_secret_key=s3.secret_key,
            rabbitmq=rabbitmq,
            redis=redis,
            s3=s3,
            nodes=(rabbitmq, *others),
        )


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One set of servers for the whole run. A test that breaks a server repairs it before it ends."""
    with start_stack(tmp_path_factory.mktemp("stack")) as running:
        yield running
