"""Faults of RabbitMQ, Redis and the S3 server: killed, restarted, stopped, emptied, refusing, out of space."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tests.faults.scenario import Fault, Scenario, ScenarioRun
from tests.support.servers.server import Server

AWAY_SECONDS: Final = 1.5
HUNG_SECONDS: Final = 4.0  # longer than the deadline of any call

DISTRIBUTED: Final = ("distributed",)


def server_scenarios() -> list[Scenario]:
    def scenario(name: str, about: str, fault: Fault, generated_again: int | None = None) -> Scenario:
        return Scenario(name, about, fault, DISTRIBUTED, generated_again=generated_again)

    return [
        scenario("broker-killed", "kill -9 of RabbitMQ, which is started again later", _broker_killed),
        scenario("broker-restarted", "`rabbitmqctl stop_app`, then `start_app`", _broker_restarted),
        scenario("broker-hung", "SIGSTOP to RabbitMQ for longer than any call waits", _broker_hung),
        scenario("broker-disk-full", "RabbitMQ's full-disk alarm, which blocks publishers", _broker_disk_full),
        scenario("redis-killed", "kill -9 of Redis, which is started again empty", _redis_killed),
        scenario("redis-emptied", "FLUSHALL, three times", _redis_emptied),
        scenario("redis-hung", "SIGSTOP to Redis for longer than any call waits", _redis_hung),
        scenario("s3-killed", "kill -9 of the S3 server, which is started again later", _s3_killed, generated_again=0),
        Scenario(
            "s3-denied",
            "the S3 server refuses the credentials for a while: jobs stored meanwhile may fail, with `storage-denied`",
            _s3_denied,
            DISTRIBUTED,
            generated_again=0,
            may_fail="storage-denied",
        ),
        scenario("s3-hung", "SIGSTOP to the S3 server for longer than any call waits", _s3_hung, generated_again=0),
    ]


@contextmanager
def _broker_killed(run: ScenarioRun) -> Iterator[None]:
    run.backends.servers.rabbitmq.sync()
    with _killed(run.backends.servers.rabbitmq):
        yield
        time.sleep(AWAY_SECONDS)


@contextmanager
def _broker_restarted(run: ScenarioRun) -> Iterator[None]:
    rabbitmq = run.backends.servers.rabbitmq
    rabbitmq.ctl("stop_app")
    try:
        yield
    finally:
        rabbitmq.ctl("start_app")


@contextmanager
def _broker_hung(run: ScenarioRun) -> Iterator[None]:
    with _hung(run.backends.servers.rabbitmq):
        yield


@contextmanager
def _broker_disk_full(run: ScenarioRun) -> Iterator[None]:
    rabbitmq = run.backends.servers.rabbitmq
    rabbitmq.ctl("set_disk_free_limit", "900000GB")
    try:
        yield
        time.sleep(AWAY_SECONDS)
    finally:
        rabbitmq.ctl("set_disk_free_limit", "1MB")


@contextmanager
def _redis_killed(run: ScenarioRun) -> Iterator[None]:
    with _killed(run.backends.servers.redis):
        yield
        time.sleep(AWAY_SECONDS)


@contextmanager
def _redis_emptied(run: ScenarioRun) -> Iterator[None]:
    yield
    for _ in range(3):
        time.sleep(0.3)
        run.load.wait_until_accepted()  # an unaccepted job may be forgotten, with its key
        run.backends.clear()


@contextmanager
def _redis_hung(run: ScenarioRun) -> Iterator[None]:
    with _hung(run.backends.servers.redis):
        yield


@contextmanager
def _s3_killed(run: ScenarioRun) -> Iterator[None]:
    with _killed(run.backends.servers.s3):
        yield
        time.sleep(AWAY_SECONDS)


@contextmanager
def _s3_denied(run: ScenarioRun) -> Iterator[None]:
    s3 = run.backends.servers.s3
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
def _s3_hung(run: ScenarioRun) -> Iterator[None]:
    with _hung(run.backends.servers.s3):
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
