"""The memory of idle services, and the memory that ten thousand queued jobs add to gateway, broker and status store."""

import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import psutil
import redis

from benchmarks.figure import Figure
from benchmarks.rig import PROMPT, ask, raise_queue_limit
from benchmarks.subject import SHIPPED
from tests.support.servers.stack import Stack, start_stack
from tests.support.system import System, running_system

JOBS = 10_000
CLIENTS = 8
SETTLE_SECONDS = 6.0  # RabbitMQ flushes and collects garbage in this time
MEGABYTE = 1024 * 1024


def run() -> Iterator[Figure]:
    """Yield the megabytes of each idle service, then the bytes of a queued job."""
    with tempfile.TemporaryDirectory(prefix="studio-bench-") as name, start_stack(Path(name) / "stack") as stack:
        raise_queue_limit(stack, 2 * JOBS)
        settings = {
            **stack.environment(),
            "STUDIO_LOG_LEVEL": "warning",
            "STUDIO_DATA_DIR": str(Path(name) / "data"),
            "STUDIO_QUEUE_LIMIT": str(2 * JOBS),
        }
        with running_system(Path(name), settings, SHIPPED.models) as system:
            yield from _figures(system, stack)


def _figures(system: System, stack: Stack) -> Iterator[Figure]:
    gateway = psutil.Process(system.start_gateway().pid)
    worker = system.start_worker()
    system.wait(system.submit(PROMPT)["id"])
    worker_megabytes = resident(psutil.Process(worker.pid)) / MEGABYTE
    yield _figure("memory.worker idle", worker_megabytes, "MB")
    worker.terminate()
    worker.wait(60)
    yield _figure("memory.gateway idle", resident(gateway) / MEGABYTE, "MB")
    broker = psutil.Process(stack.rabbitmq.pid)
    with redis.Redis.from_url(stack.statuses_url) as client:
        before = resident(gateway), resident(broker), _used(client)
        _submit_all(system)
        time.sleep(SETTLE_SECONDS)
        after = resident(gateway), resident(broker), _used(client)
    for name, one, other in zip(("gateway", "RabbitMQ", "Redis"), before, after, strict=True):
        yield _figure(f"memory.{name}, each of {JOBS} queued jobs", (other - one) / JOBS, "bytes")


def _figure(name: str, value: float, unit: str) -> Figure:
    return Figure.of(name, value, unit, "", [value])


def resident(process: psutil.Process) -> int:
    """Return the resident bytes of the process and its descendants."""
    family = [process, *process.children(recursive=True)]
    return sum(member.memory_info().rss for member in family)


def _used(client: redis.Redis) -> int:
    return int(client.info("memory")["used_memory"])


def _submit_all(system: System) -> None:
    with ThreadPoolExecutor(CLIENTS) as clients:
        list(clients.map(lambda _: _submit(system, JOBS // CLIENTS), range(CLIENTS)))


def _submit(system: System, count: int) -> None:
    with closing(HTTPConnection("127.0.0.1", system.port, timeout=30)) as client:
        for _ in range(count):
            ask(client, "POST", "/v1/jobs", {"prompt": PROMPT})
