"""/v1/status and its page: how the system is, also when a part of it is not there."""

import time

import httpx2
import pytest

from services.api.core.health import BackendHealth
from services.api.core.queue_positions import QueuePositions
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from tests.api.v1.test_jobs import submit
from tests.support.fake_backends import without
from tests.support.fakes import FakeWorker

pytestmark = pytest.mark.anyio


async def test_status_tells_everything(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Version, backends, queues and each worker are told together, in JSON and on the page."""
    await worker.announce("studio-tiny", "busy")
    await submit(client)
    await worker.begin(await submit(client))

    status = (await client.get("/v1/status")).json()
    page = (await client.get("/status")).text

    assert status["dependencies"] == {"broker": "ready", "statuses": "ready", "objects": "ready"}
    queue = next(each for each in status["queues"] if each["model"] == "studio-tiny")
    assert (queue["depth"], queue["running"], queue["workers"]["busy"]) == (1, 1, 1)
    (told,) = status["workers"]
    assert (told["model"], told["phase"], told["max_batch"]) == ("studio-tiny", "busy", 1)
    for text in (status["version"], "1 waiting, 1 running", "busy for 0 s", told["id"][:8]):
        assert text in page


async def test_status_of_what_is_broken(
    client: httpx2.AsyncClient, backends: Backends, catalogue: Catalogue, state: dict[str, object]
) -> None:
    """With backends down both answer 200 in time, and name them."""
    down = without(backends, "broker", "statuses")
    state.update(health=BackendHealth(down), positions=QueuePositions(down, catalogue))
    begin = time.monotonic()

    answer, page = await client.get("/v1/status"), await client.get("/status")

    assert (answer.status_code, page.status_code) == (200, 200)
    assert answer.json()["dependencies"] == {"broker": "unavailable", "statuses": "unavailable", "objects": "ready"}
    assert (answer.json()["queues"], answer.json()["workers"]) == (None, None)
    assert page.text.count("does not answer") == 2
    assert "The queues cannot be read right now" in page.text
    assert time.monotonic() - begin < 6
