"""The announcement of a worker, which costs nothing while the cache is down."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from structlog.testing import capture_logs

from services.common.cache import Cache
from services.common.errors import ModelUnavailable
from services.common.presence import WORKERS
from services.inference.batching.served_model import ServedModel
from services.inference.runtime.executor import ModelExecutor
from services.inference.worker.announcer import Announcer
from services.inference.worker.best_effort import BestEffort
from tests.support.fake_backends import InMemoryCache, UnavailableBackend
from tests.support.models.items import item
from tests.support.models.served import loaded
from tests.support.models.stepping_adapter import SteppingAdapter

pytestmark = pytest.mark.anyio


def a_model() -> ServedModel:
    return loaded(ModelExecutor(SteppingAdapter()))


@asynccontextmanager
async def announcing(cache: object) -> AsyncIterator[Announcer]:
    async with Announcer(BestEffort(cast("Cache", cache)), "w", "m").announcing() as announcer:
        yield announcer


async def test_phases_are_told_as_they_come() -> None:
    """Loading, ready, busy, with the newest figures, out of the queue's reach, and draining are told under one key."""
    board, served, consuming, busy = InMemoryCache(), a_model(), asyncio.Event(), asyncio.Event()
    async with announcing(board) as announcer:
        loading = await board.await_phase("loading")
        announcer.serve(served, consuming.is_set, busy.is_set)
        assert not (await board.await_phase("disconnected")).takes_jobs
        consuming.set()
        ready = await board.await_phase("ready")
        assert (ready.model, ready.max_batch, ready.paces) == ("m", 4, {})
        assert ready.since > loading.since
        with served.timings.call([item(1)]):
            busy.set()
            await board.await_phase("busy")
        busy.clear()
        assert set((await board.await_phase("ready")).paces) == {"64x64"}
        consuming.clear()
        await board.await_phase("disconnected")
        announcer.drain()
        assert (await board.await_phase("draining")).worker_id == loading.worker_id
        assert list(board.kept) == [f"{WORKERS}/{loading.worker_id}-m"]
    assert board.kept == {}


async def test_model_that_is_not_loaded() -> None:
    """A model that waits for its next job is ready, with the time its load will take; one that failed takes no job."""
    board, served = InMemoryCache(), a_model()
    served.loaded, served.load_seconds = False, 7.0
    async with announcing(board) as announcer:
        announcer.serve(served, lambda: True, lambda: False)
        ready = await board.await_phase("ready")
        assert (ready.takes_jobs, ready.load_seconds) == (True, 7.0)
        served.loading = True
        assert not (await board.await_phase("loading")).takes_jobs
        served.loading, served.loaded = False, True
        assert (await board.await_phase("ready")).load_seconds == 0
        served.fail(ModelUnavailable("no weights"))
        assert not (await board.await_phase("unavailable")).takes_jobs


async def test_outage_is_borne_in_silence() -> None:
    """A cache that does not answer raises nothing, and is complained of once for as long as it lasts."""
    board = InMemoryCache()
    cache = BestEffort(cast("Cache", UnavailableBackend("cache")))
    with capture_logs() as logs:
        assert [await cache.put("workers/a", b"", 1) for _ in range(3)] == [False] * 3
        async with announcing(UnavailableBackend("cache")):
            pass
    assert [entry["event"] for entry in logs].count("cache does not answer, doing without") == 2  # each of the two
    assert await BestEffort(cast("Cache", board)).put("workers/a", b"", 1)
