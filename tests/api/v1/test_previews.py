"""/v1/jobs/{id}/preview through HTTP."""

import httpx2
import pytest

from services.api.core.gateway import Gateway
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from services.common.preview_cache import preview_key
from services.common.schemas import Progress
from services.common.settings import Settings
from tests.api.v1.test_jobs import submit
from tests.support.fake_backends import without
from tests.support.fakes import FakeWorker

pytestmark = pytest.mark.anyio


async def test_running_job_shows_what_there_is(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The link of a running job leads to the newest preview, an uncacheable JPEG, of each of its pictures."""
    job_id = await submit(client)
    await worker.show(job_id, b"first", b"second")
    link = (await client.get(f"/v1/jobs/{job_id}")).json()["links"]["preview"]

    first, second = await client.get(link), await client.get(f"/v1/jobs/{job_id}/preview?index=1")

    assert (first.status_code, first.content, second.content) == (200, b"first", b"second")
    assert first.headers["Content-Type"] == "image/jpeg"
    assert first.headers["Cache-Control"] == "no-store"


async def test_link_changes_with_every_preview(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A page that shows the link's picture again when the link changes always shows the newest."""
    job_id = await submit(client)
    links = []
    for previews in (0, 1, 2):
        await worker.begin(job_id, Progress(step=1, total=8, previews=previews))
        links.append((await client.get(f"/v1/jobs/{job_id}")).json()["links"]["preview"])
    assert links[0] is None
    assert links[1] != links[2]


async def test_no_preview_but_while_it_runs(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A job that waits, shows nothing yet or is over has no preview and no link to one."""
    job_id = await submit(client)
    for step in ("queued", "begun", "over"):
        if step == "begun":
            await worker.begin(job_id)
        elif step == "over":
            await worker.show(job_id, b"preview")
            await worker.succeed(job_id, b"picture")
        answer = await client.get(f"/v1/jobs/{job_id}/preview")
        assert (answer.status_code, answer.json()["code"]) == (404, "preview-not-found")
        assert (await client.get(f"/v1/jobs/{job_id}")).json()["links"]["preview"] is None


@pytest.mark.parametrize(
    ("index", "status", "code"),
    [("1", 404, "preview-not-found"), *((text, 422, "validation-error") for text in ("-1", "x", "%00", "9" * 5000))],
)
async def test_picture_without_preview(
    client: httpx2.AsyncClient, worker: FakeWorker, index: str, status: int, code: str
) -> None:
    """A picture the job does not have is 404, and what is no number of a picture 422."""
    job_id = await submit(client)
    await worker.show(job_id, b"preview")
    answer = await client.get(f"/v1/jobs/{job_id}/preview?index={index}")
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_cache_down_is_no_preview(
    client: httpx2.AsyncClient,
    worker: FakeWorker,
    backends: Backends,
    catalogue: Catalogue,
    settings: Settings,
    state: dict[str, object],
) -> None:
    """A preview is absent while the cache is down, and the job can still be removed."""
    job_id = await submit(client)
    await worker.show(job_id, b"preview")
    state["gateway"] = Gateway(without(backends, "cache"), catalogue, settings)
    assert (await client.get(f"/v1/jobs/{job_id}/preview")).status_code == 404


async def test_removed_job_leaves_no_preview(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends
) -> None:
    """The previews of a job removed while it runs are gone with it."""
    job_id = await submit(client, num_images=2)
    await worker.show(job_id, b"first", b"second")
    assert (await client.delete(f"/v1/jobs/{job_id}")).status_code == 204
    assert (await client.get(f"/v1/jobs/{job_id}/preview")).status_code == 410
    assert [await backends.cache.get(preview_key(job_id, index)) for index in (0, 1)] == [None, None]
