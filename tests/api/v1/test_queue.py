"""How long one waits: `queue` of a job, /v1/queue, and what /v1/models says of workers."""

import asyncio
import sqlite3
from contextlib import closing
from dataclasses import replace
from typing import Any

import httpx2
import pytest

from services.api.core.queue_positions import FRESH_SECONDS, QueuePositions
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from services.common.errors import BackendUnavailable
from services.common.presence import Pace
from services.common.schemas import Progress, StatusRecord
from services.common.settings import Settings
from tests.api.v1.test_jobs import submit
from tests.support.fake_backends import CountingStatuses, without
from tests.support.fakes import FakeWorker

pytestmark = pytest.mark.anyio

MODEL = "studio-tiny"
SIZE = "128x128"  # of the model's own, in 8 steps
PACE = Pace(call=0.25, each=0.125, spread=0.1)  # so 2 s a call, and 1 s a picture where many share it


async def queue_of(client: httpx2.AsyncClient, job_id: str) -> Any:
    return (await client.get(f"/v1/jobs/{job_id}")).json()["queue"]


async def entry(client: httpx2.AsyncClient) -> dict[str, Any]:
    data: list[dict[str, Any]] = (await client.get("/v1/queue")).json()["data"]
    return next(each for each in data if each["model"] == MODEL)


async def test_waiting_job_says_how_many_come_before_it(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A queued job counts the live ones submitted before it; one that runs or is over has no place."""
    first, second, third = [await submit(client) for _ in range(3)]
    assert [(await queue_of(client, each))["position"] for each in (first, second, third)] == [0, 1, 2]
    await worker.begin(first)
    assert await queue_of(client, first) is None
    await worker.succeed(second, b"picture")
    assert await queue_of(client, second) is None
    fourth = await submit(client)
    assert (await queue_of(client, fourth))["position"] == 2


async def test_no_time_is_named_that_nobody_knows(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """There is no ETA without a worker, with one that has not made such a picture yet, or with one that only loads."""
    job_id = await submit(client)
    assert (await queue_of(client, job_id))["eta_seconds"] is None
    await worker.announce(MODEL, paces={"192x192": PACE})
    await worker.announce(MODEL, "loading", paces={SIZE: PACE})
    await worker.announce(MODEL, "draining", paces={SIZE: PACE})
    await worker.announce("sd15", paces={SIZE: PACE})
    later = await submit(client)
    assert (await queue_of(client, later)) == {"position": 1, "eta_seconds": None}
    assert (await entry(client))["eta_seconds"] is None


async def test_time_is_a_range_around_what_calls_took(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The ETA holds its own call, what comes before it shared among the workers, and a call it cannot join."""
    await worker.announce(MODEL, paces={SIZE: PACE})
    first = await submit(client)
    assert (await queue_of(client, first))["eta_seconds"] == {"low": 1.8, "high": 2.2}
    await submit(client, num_images=4)
    third = await submit(client)
    assert (await queue_of(client, third))["eta_seconds"] == {"low": 6.3, "high": 9.9}  # 1 + 4 before its 2
    await worker.announce(MODEL, "busy", paces={SIZE: PACE})
    fourth = await submit(client, steps=16)
    assert (await queue_of(client, fourth))["eta_seconds"] == {"low": 6, "high": 13}  # 6 among two, before its 4


async def test_model_that_is_not_loaded(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The ETA holds the load of the model, unless a worker has it loaded already."""
    await worker.announce(MODEL, paces={SIZE: PACE}, load_seconds=10)
    first = await submit(client)
    assert (await queue_of(client, first))["eta_seconds"] == {"low": 10, "high": 14}  # 10 before its 2
    await worker.announce(MODEL, paces={SIZE: PACE})
    await worker.succeed(first, b"picture")
    second = await submit(client)
    assert (await queue_of(client, second))["eta_seconds"] == {"low": 1.8, "high": 2.2}


async def test_worker_of_several_models(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The ETA is wider by the jobs of other models that the same worker has to make, and none if that is unknown."""
    await worker.announce(MODEL, paces={SIZE: PACE}, worker_id="one")
    await worker.announce("sd15", "unavailable", worker_id="one")
    await submit(client, model="sd15", steps=40)
    first = await submit(client)
    assert (await queue_of(client, first))["eta_seconds"] == {"low": 1.8, "high": 2.2}, "another makes those of sd15"
    await worker.succeed(first, b"picture")
    await worker.announce("sd15", paces={"512x512": PACE}, worker_id="one")
    job_id = await submit(client)
    assert (await queue_of(client, job_id))["eta_seconds"] == {"low": 1.8, "high": 7.7}  # its 2, and perhaps 5
    await submit(client, model="sd15", width=256, height=256)
    job_id = await submit(client)
    assert (await queue_of(client, job_id))["eta_seconds"] is None


async def test_what_is_done_is_not_waited_for(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Only the remaining steps of a running job count."""
    await worker.announce(MODEL, "busy", paces={SIZE: PACE})
    await worker.begin(await submit(client), Progress(step=6, total=8))
    job_id = await submit(client)
    assert (await queue_of(client, job_id))["eta_seconds"] == {"low": 2.0, "high": 4.7}  # 0.25 before its 2


async def test_waiting_for_a_model_that_loads(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A queued job whose model's only workers are loading says so; not when one of them is ready."""
    await worker.announce(MODEL, "loading")
    job_id = await submit(client)
    job = (await client.get(f"/v1/jobs/{job_id}")).json()
    assert (job["state"], job["progress"]["phase"]) == ("queued", "loading")
    assert "Warming up the model" in (await client.get(f"/jobs/{job_id}")).text
    await worker.announce(MODEL, "busy")
    later = await submit(client)
    assert (await client.get(f"/v1/jobs/{later}")).json()["progress"] is None


async def test_queue_before_submitting(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """/v1/queue says for every model how long its queue is, who works at it, and when a job sent now may be done."""
    assert (await entry(client)) == {
        "model": MODEL,
        "depth": 0,
        "running": 0,
        "oldest_age_seconds": None,
        "workers": {"loading": 0, "ready": 0, "busy": 0, "disconnected": 0, "draining": 0, "unavailable": 0},
        "eta_seconds": None,
    }
    for phase in ("loading", "ready", "busy", "busy"):
        await worker.announce(MODEL, phase, paces={SIZE: PACE})
    running, *_ = [await submit(client) for _ in range(3)]
    await worker.begin(running)
    last = await submit(client)
    assert (await queue_of(client, last))["position"] == 3  # a look behind the last submission
    now = await entry(client)
    assert (now["depth"], now["running"]) == (3, 1)
    assert 0 <= now["oldest_age_seconds"] < 60
    assert now["workers"] == {"loading": 1, "ready": 1, "busy": 2, "disconnected": 0, "draining": 0, "unavailable": 0}
    assert now["eta_seconds"] == {"low": 3.0, "high": 5.9}  # 4 among three, before its 2


async def test_models_say_who_serves_them(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """/v1/models says how many workers take jobs of a model and what one with its defaults takes."""
    for phase in ("loading", "ready", "busy", "disconnected", "draining"):
        await worker.announce(MODEL, phase, paces={SIZE: PACE})
    models = {each["id"]: each for each in (await client.get("/v1/models")).json()["data"]}
    assert (models[MODEL]["ready_workers"], models[MODEL]["typical_seconds"]) == (2, 2.0)
    assert (models["sd15"]["ready_workers"], models["sd15"]["typical_seconds"]) == (0, None)


def line_over(statuses: object, backends: Backends, catalogue: Catalogue) -> QueuePositions:
    return QueuePositions(replace(backends, statuses=statuses), catalogue)  # type: ignore[arg-type]


@pytest.mark.parametrize("ahead", [0.0, 60.0])
async def test_polls_share_a_look(
    client: httpx2.AsyncClient, backends: Backends, catalogue: Catalogue, ahead: float
) -> None:
    """However many jobs are polled, and whatever the clocks that made them say, the queue is looked through once."""
    statuses = CountingStatuses(backends.statuses, ahead)
    line = line_over(statuses, backends, catalogue)
    jobs = [await submit(client) for _ in range(5)]
    for _ in range(4):
        places = [await line.place_of(await statuses.get(job_id)) for job_id in jobs]
        assert [place and place.position for place in places] == [0, 1, 2, 3, 4]
    assert statuses.listed <= 5  # one, and one for every time that a slow machine took longer than FRESH_SECONDS
    assert FRESH_SECONDS >= 1


async def test_store_that_hangs_is_asked_once(backends: Backends, catalogue: Catalogue) -> None:
    """Requests that need a hung store wait for it together, not one after the other."""

    class Hung(CountingStatuses):
        async def list(self, after: str = "", limit: int = 100) -> list[StatusRecord]:
            self.listed += 1
            await asyncio.sleep(0.05)
            raise BackendUnavailable("statuses", "no answer within its time")

    statuses = Hung(backends.statuses)
    line = line_over(statuses, backends, catalogue)
    answers = await asyncio.gather(*(line.queues() for _ in range(10)), return_exceptions=True)
    assert {type(answer) for answer in answers} == {BackendUnavailable}
    assert statuses.listed == 1


async def test_unchanged_place_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    """A poll of a job that waits where it waited is 304."""
    job_id = await submit(client)
    etag = (await client.get(f"/v1/jobs/{job_id}")).headers["ETag"]
    assert (await client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": etag})).status_code == 304
    other = (await client.get(f"/v1/jobs/{job_id}", headers={"If-None-Match": '"other"'})).headers["ETag"]
    assert other == etag


@pytest.mark.parametrize(("down", "depth"), [("cache", 1), ("statuses", None)])
async def test_without_knowing_the_line(
    client: httpx2.AsyncClient,
    backends: Backends,
    state: dict[str, object],
    catalogue: Catalogue,
    down: str,
    depth: int | None,
) -> None:
    """A line nobody can look at keeps no job and no catalogue from being answered."""
    state["positions"] = QueuePositions(without(backends, down), catalogue)
    job_id = await submit(client)
    job = await client.get(f"/v1/jobs/{job_id}")
    assert (job.status_code, job.json()["state"], job.json()["queue"]) == (200, "queued", None)
    assert (await client.get("/v1/models")).status_code == 200
    answer = await client.get("/v1/queue")
    if depth is None:
        assert (answer.status_code, answer.json()["code"]) == (503, "backend-unavailable")
    else:
        assert (answer.status_code, (await entry(client))["depth"]) == (200, depth)


async def test_record_nobody_can_read(client: httpx2.AsyncClient, settings: Settings) -> None:
    """A record that another version wrote keeps nobody from the queue and the other jobs; its own job is 503."""
    first, odd, last = [await submit(client) for _ in range(3)]
    with closing(sqlite3.connect(settings.data_dir / "studio.db")) as connection, connection:
        connection.execute("UPDATE statuses SET record = json_set(record, '$.state', 'asleep') WHERE job_id = ?", [odd])
    assert (await entry(client))["depth"] == 2
    assert [job["id"] for job in (await client.get("/v1/jobs?limit=2")).json()["data"]] == [last, first]
    assert (await queue_of(client, last))["position"] == 1
    answer = await client.get(f"/v1/jobs/{odd}")
    assert (answer.status_code, answer.json()["code"]) == (503, "backend-unavailable")
