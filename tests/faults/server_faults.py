"""RabbitMQ, Redis and the S3 server: killed, started again, standing still, emptied, refusing, out of space."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.faults.scenario import Fault, Scenario, Stage
from tests.support.servers.server import Server

AWAY_SECONDS: Final = 1.5
HUNG_SECONDS: Final = 4.0  # longer than every deadline on a call

DISTRIBUTED: Final = ("distributed",)


def server_scenarios() -> list[Scenario]:
    def scenario(name: str, about: str, fault: Fault, painted_again: int | None = None) -> Scenario:
        return Scenario(name, about, fault, DISTRIBUTED, painted_again=painted_again)

    return [
        scenario("broker-killed", "kill -9 of RabbitMQ, started again a while later", _broker_killed),
        scenario("broker-restarted", "`rabbitmqctl stop_app`, then `start_app`", _broker_restarted),
        scenario("broker-hung", "SIGSTOP of RabbitMQ for longer than any call waits", _broker_hung),
        scenario("broker-disk-full", "RabbitMQ's alarm of a full disk, which blocks who publishes", _broker_disk_full),
        scenario("redis-killed", "kill -9 of Redis, started again empty", _redis_killed),
        scenario("redis-emptied", "FLUSHALL, three times", _redis_emptied),
        scenario("redis-hung", "SIGSTOP of Redis for longer than any call waits", _redis_hung),
        scenario("s3-killed", "kill -9 of the S3 server, started again a while later", _s3_killed, painted_again=0),
        Scenario(
            "s3-denied",
            "the S3 server refuses the credentials for a while: what is to be stored then may fail, and says so",
            _s3_denied,
            DISTRIBUTED,
            painted_again=0,
            may_fail="storage-denied",
        ),
        scenario("s3-hung", "SIGSTOP of the S3 server for longer than any call waits", _s3_hung, painted_again=0),
    ]


@contextmanager
def _broker_killed(stage: Stage) -> Iterator[None]:
    stage.ground.servers.rabbitmq.sync()
    with _killed(stage.ground.servers.rabbitmq):
        yield
        time.sleep(AWAY_SECONDS)


@contextmanager
def _broker_restarted(stage: Stage) -> Iterator[None]:
    rabbitmq = stage.ground.servers.rabbitmq
    rabbitmq.ctl("stop_app")
    try:
        yield
    finally:
        rabbitmq.ctl("start_app")


@contextmanager
def _broker_hung(stage: Stage) -> Iterator[None]:
    with _hung(stage.ground.servers.rabbitmq):
        yield


@contextmanager
def _broker_disk_full(stage: Stage) -> Iterator[None]:
    rabbitmq = stage.ground.servers.rabbitmq
    rabbitmq.ctl("set_disk_free_limit", "900000GB")
    try:
        yield
        time.sleep(AWAY_SECONDS)
    finally:
        rabbitmq.ctl("set_disk_free_limit", "1MB")


@contextmanager
def _redis_killed(stage: Stage) -> Iterator[None]:
    with _killed(stage.ground.servers.redis):
        yield
        time.sleep(AWAY_SECONDS)


@contextmanager
def _redis_emptied(stage: Stage) -> Iterator[None]:
    yield
    for _ in range(3):
        time.sleep(0.3)
        stage.load.wait_until_accepted()  # what was not accepted yet may be forgotten, its key as well
        stage.ground.clear()


@contextmanager
def _redis_hung(stage: Stage) -> Iterator[None]:
    with _hung(stage.ground.servers.redis):
        yield


@contextmanager
def _s3_killed(stage: Stage) -> Iterator[None]:
    with _killed(stage.ground.servers.s3):
        yield
        time.sleep(AWAY_SECONDS)


@contextmanager
def _s3_denied(stage: Stage) -> Iterator[None]:
    s3 = stage.ground.servers.s3
    right = s3.secret_key
    s3.stop()
    s3.secret_key = "another-secret"
    s3.start()
    try:
        yield
        time.sleep(AWAY_SECONDS)
    finally:
        s3.stop()
        s3.secret_key = right
        s3.start()


@contextmanager
def _s3_hung(stage: Stage) -> Iterator[None]:
    with _hung(stage.ground.servers.s3):
        yield


@contextmanager
def _killed(server: Server) -> Iterator[None]:
    server.kill()
    try:
        yield
    finally:
        server.start()


@contextmanager
def _hung(server: Server) -> Iterator[None]:
    server.pause()
    try:
        yield
        time.sleep(HUNG_SECONDS)
    finally:
        server.resume()
