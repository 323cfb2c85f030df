"""Network faults between a service and each of its servers: every toxic in turn."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from typing import Final

from tests.faults.load_client import JobRequest
from tests.faults.scenario import Scenario, ScenarioRun
from tests.faults.toxics import Bandwidth, Latency, LimitData, ResetPeer, Slicer, SlowAnswers, Timeout, Toxic

SECONDS: Final = 0.8  # the duration of every toxic
HUNG_SECONDS: Final = 3.0
CLOSINGS: Final = 4  # more than a job has attempts
CLOSING_SECONDS: Final = 1.6  # so much later the workers have their deliveries again, and make the jobs still
LONG_JOBS: Final = 3  # so that other workers are idle, and could take them
SLOW_SECONDS: Final = (1.4, 0.9, 0.4)  # most submits find no time, then some, then most do
SLOW_FOR_SECONDS: Final = 5.0
SERVERS: Final = ("broker", "redis", "s3")
ONLY: Final = ("distributed",)
NAMES: Final = "latency, bandwidth, slicer, limit_data, reset_peer, timeout, down"


def network_scenarios() -> list[Scenario]:
    return [
        *(
            Scenario(f"{server}-network", f"between services and {server}: {NAMES}", partial(_toxics, server), ONLY)
            for server in SERVERS
        ),
        Scenario(
            "servers-slow",
            f"each answer of RabbitMQ, Redis and S3 takes {', then '.join(map(str, SLOW_SECONDS))} s longer",
            _slow,
            ONLY,
        ),
        Scenario(
            "broker-confirms-lost",
            "RabbitMQ receives everything and its answers are lost: publishes arrive, their confirms do not",
            _confirms_lost,
            ONLY,
        ),
        Scenario(
            "broker-connections-closed",
            "every connection to RabbitMQ is closed again and again while workers make slow jobs, which goes on",
            _connections_closed,
            ONLY,
            workers=4,
            extra_requests=tuple(JobRequest(f"LONG number {number}", number) for number in range(LONG_JOBS)),
            begun_again=0,
            generated_again=0,
        ),
    ]


def toxics() -> list[tuple[Toxic, float]]:
    """Return each toxic with its duration in seconds; the names are Toxiproxy's."""
    return [
        (Latency(0.1, jitter=0.05), SECONDS),
        (Bandwidth(20_000), SECONDS),
        (Slicer(50, 0.002), SECONDS),
        (LimitData(3_000), SECONDS),
        (ResetPeer(0.05), SECONDS),
        (Timeout(), HUNG_SECONDS),
    ]


@contextmanager
def _toxics(server: str, run: ScenarioRun) -> Iterator[None]:
    proxy = run.backends.proxies[server]
    yield
    for toxic, seconds in toxics():
        _hold(proxy.toxic(toxic), seconds)
    _hold(proxy.down(), SECONDS)


@contextmanager
def _slow(run: ScenarioRun) -> Iterator[None]:
    yield
    for seconds in SLOW_SECONDS:
        with ExitStack() as slow:
            for proxy in run.backends.proxies.values():
                slow.enter_context(proxy.toxic(SlowAnswers(seconds), "downstream"))
            time.sleep(SLOW_FOR_SECONDS)


@contextmanager
def _confirms_lost(run: ScenarioRun) -> Iterator[None]:
    with run.backends.proxies["broker"].toxic(Timeout(), "downstream"):
        yield
        time.sleep(HUNG_SECONDS)


@contextmanager
def _connections_closed(run: ScenarioRun) -> Iterator[None]:
    yield
    run.load.wait_until_accepted()
    for _ in range(CLOSINGS):
        run.backends.proxies["broker"].cut()
        time.sleep(CLOSING_SECONDS)


def _hold(trouble: AbstractContextManager[None], seconds: float) -> None:
    with trouble:
        time.sleep(seconds)
