"""The gateway's metrics when something fails; measuring a backend changes nothing it does."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable

import pytest

from services.api.core.gateway import Gateway
from services.api.core.metrics import Metrics
from services.api.core.metrics_site import serve_metrics
from services.api.core.queue_positions import QueuePositions
from services.api.core.sweeper import Sweeper
from services.common.backends import Backends, open_backends
from services.common.catalogue.catalogue import Catalogue
from services.common.errors import (
    BackendUnavailable,
    IdempotencyMismatch,
    InvalidRequest,
    JobNotFound,
    ObjectNotFound,
    QueueFull,
    StudioError,
    TooManyJobs,
)
from services.common.ids import new_job_id
from services.common.ports import Quota
from services.common.settings import Settings
from services.common.telemetry.measured import measured
from services.common.telemetry.tracing import Tracer
from tests.support.fake_backends import without
from tests.support.metrics_scrape import Scrape
from tests.support.servers.server import free_port

pytestmark = pytest.mark.anyio

BODY = {"prompt": "red mug"}
PATIENCE_SECONDS = 10.0


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def backends(settings: Settings, metrics: Metrics) -> AsyncIterator[Backends]:
    async with open_backends(settings) as opened:
        yield measured(opened, metrics, Tracer())


@pytest.fixture
def count(metrics: Metrics) -> Callable[..., float]:
    def value(name: str, **labels: str) -> float:
        return metrics.registry.get_sample_value(name, labels) or 0

    return value


@pytest.mark.parametrize("settings", [{"queue_limit": 1}], indirect=True)
async def test_refusals(backends: Backends, catalogue: Catalogue, settings: Settings, metrics: Metrics) -> None:
    """A job that is not taken is counted by the reason; one that is not valid is not counted as a job."""

    async def refused(kind: type[StudioError], without_backend: str = "", prompt: str = "red mug") -> None:
        gateway = Gateway(without(backends, without_backend), catalogue, settings, None, metrics)
        with pytest.raises(kind):
            await gateway.accept({"prompt": prompt}, idempotency_key="k")

    await refused(InvalidRequest, prompt="")
    await refused(BackendUnavailable, "broker")
    await Gateway(backends, catalogue, settings, None, metrics).accept(BODY, idempotency_key="k")
    await refused(IdempotencyMismatch, prompt="another")
    gateway = Gateway(backends, catalogue, settings, None, metrics)
    with pytest.raises(TooManyJobs):
        await gateway.accept(BODY, quota=Quota("somebody", most=0, ahead=0))
    with pytest.raises(QueueFull):
        await gateway.accept(BODY)

    (family,) = [each for each in metrics.registry.collect() if each.name == "studio_jobs_submitted"]
    told = [each for each in family.samples if each.name.endswith("_total")]
    assert {(each.labels["model"], each.labels["outcome"]): each.value for each in told} == {
        (catalogue.default_model.name, outcome): 1
        for outcome in ("accepted", "full", "unavailable", "conflict", "limited")
    }


async def test_expired(
    backends: Backends, catalogue: Catalogue, settings: Settings, metrics: Metrics, count: Callable[..., float]
) -> None:
    """A job that no worker took in its time is counted once, however many gateways sweep."""
    gateway = Gateway(backends, catalogue, settings, None, metrics)
    record, _ = await gateway.accept(BODY)
    await backends.statuses.remove(record.job_id)
    message = record.message.model_copy(update={"expires_at": time.time() - 1})
    await backends.statuses.create(record.model_copy(update={"message": message}))
    for _ in range(2):
        await Sweeper(gateway, backends, 1, metrics).sweep()
    assert count("studio_jobs_expired_total", model=record.message.model) == 1


async def test_failures_of_backends(backends: Backends, metrics: Metrics, count: Callable[..., float]) -> None:
    """A call that gets no answer is counted and raises as before; that there is no such thing is an answer."""
    down = measured(without(backends, "broker", "objects"), metrics, Tracer())
    with pytest.raises(BackendUnavailable):
        await down.broker.depth("any")
    with pytest.raises(BackendUnavailable):
        await anext(aiter(down.objects.get("any")))
    with pytest.raises(JobNotFound):
        await backends.statuses.get(new_job_id())
    with pytest.raises(ObjectNotFound):
        await anext(aiter(backends.objects.get("jobs/none")))

    for backend, operation, errors, calls in (
        ("broker", "depth", 1, 1),
        ("objects", "get", 1, 2),
        ("statuses", "get", 0, 1),
    ):
        where = {"backend": backend, "operation": operation}
        assert count("studio_backend_errors_total", **where) == errors
        assert count("studio_backend_seconds_count", **where) == calls


async def test_streams_and_waiting(backends: Backends, count: Callable[..., float]) -> None:
    """An object arrives whole and is one call; to wait for the end of a job is none."""
    whole = bytes(range(256)) * 4000
    await backends.objects.put("jobs/one", whole, "image/png")
    assert b"".join([chunk async for chunk in backends.objects.get("jobs/one")]) == whole
    assert count("studio_backend_seconds_count", backend="objects", operation="get") == 1
    with pytest.raises(JobNotFound):
        await backends.statuses.get(new_job_id(), 0.1)
    assert count("studio_backend_seconds_count", backend="statuses", operation="get") == 0


async def test_queues_out_of_sight(
    backends: Backends, catalogue: Catalogue, settings: Settings, metrics: Metrics
) -> None:
    """While the backends do not answer there are no figures of the queues, rather than those of before."""
    opened = settings.model_copy(update={"metrics_port": free_port()})
    url = f"http://127.0.0.1:{opened.metrics_port}"
    for seen in (True, False, True):
        there = backends if seen else without(backends, "statuses")
        async with serve_metrics(opened, metrics, QueuePositions(there, catalogue), there):
            scrape = await asyncio.to_thread(Scrape, url)
        assert bool(scrape.labels("studio_queue_depth")) == bool(scrape.labels("studio_workers")) == seen
        assert math.isnan(scrape("studio_dead_letters")) != seen


async def test_loop_lag(
    backends: Backends, catalogue: Catalogue, settings: Settings, metrics: Metrics, count: Callable[..., float]
) -> None:
    """A callback that blocks the event loop is measured by the time it blocked."""
    async with serve_metrics(settings, metrics, QueuePositions(backends, catalogue), backends):
        async with asyncio.timeout(PATIENCE_SECONDS):
            while count("studio_loop_lag_seconds_sum") < 0.3:
                await asyncio.sleep(0)
                time.sleep(0.7)  # noqa: ASYNC251 - the very thing
    assert count("studio_loop_lag_seconds_bucket", le="0.1") < count("studio_loop_lag_seconds_bucket", le="1.0")
