"""The warnings of a job, from its record and from its manifest, in the API, for OpenAI's clients and on the page."""

import asyncio

import httpx2
import pytest

from services.common.backends import Backends
from services.common.job_warnings import WARNING_TITLES
from services.common.ports import Outcome
from services.common.schemas import JobError, JobWarning, State
from tests.api.v1.test_jobs import submit
from tests.support.fakes import FakeWorker, stored_image
from tests.support.web.html_page import Page

pytestmark = pytest.mark.anyio

CUT = JobWarning(code="prompt-cut", message="these words were cut: “<b>with a lid</b>”")
UNUSED = JobWarning(code="negative-prompt-unused", message="no effect at guidance 1")
TOLD = [CUT.model_dump(), UNUSED.model_dump()]


async def test_warnings_of_a_job(client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends) -> None:
    """A job has its warnings wherever it is shown, also once only its manifest is left; before its end it has none."""
    job_id = await submit(client)
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["warnings"] == []
    await worker.succeed(job_id, stored_image(), warnings=[CUT, UNUSED])

    assert (await client.get(f"/v1/jobs/{job_id}")).json()["warnings"] == TOLD
    assert (await client.get("/v1/jobs")).json()["data"][0]["warnings"] == TOLD
    await backends.statuses.remove(job_id)
    assert (await client.get(f"/v1/jobs/{job_id}")).json()["warnings"] == TOLD


@pytest.mark.parametrize("code", [*WARNING_TITLES, "filtered"])
async def test_code_has_a_meaning(client: httpx2.AsyncClient, code: str) -> None:
    """Each code of a warning, and that of a filtered job, resolves to what it means and is in the reference."""
    answer = await client.get(f"/problems/{code}")
    assert (answer.status_code, answer.json()["status"]) == (200, None)
    assert answer.json()["title"]
    document = (await client.get("/openapi.json")).json()
    (parameter,) = document["paths"]["/problems/{code}"]["get"]["parameters"]
    assert code in parameter["schema"]["enum"]


async def test_reference_has_warnings(client: httpx2.AsyncClient) -> None:
    """The reference says that every job has warnings of a code and a message."""
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]
    assert "warnings" in schemas["JobView"]["required"]
    assert schemas["WarningView"]["required"] == ["code", "message"]


async def test_openais_clients_get_warnings(client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends) -> None:
    """OpenAI's route has the warnings beside the images."""
    asking = asyncio.create_task(client.post("/v1/images/generations", json={"prompt": "red mug"}))
    async with asyncio.timeout(10):
        while not (jobs := await backends.statuses.list()):
            await asyncio.sleep(0.01)
    await worker.succeed(jobs[0].job_id, stored_image(), warnings=[UNUSED])
    assert (await asking).json()["warnings"] == [UNUSED.model_dump()]


async def test_missing_artifact_names_those_there_are(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends
) -> None:
    """An artifact that the job does not have is 404 with the numbers of those it has, and why it is missing."""
    job_id = await submit(client)
    filtered = JobWarning(code="outputs-filtered", message="number 3 was withheld")
    await worker.succeed(job_id, stored_image(), stored_image(seed="2"), warnings=[CUT, filtered])
    answer = await client.get(f"/v1/jobs/{job_id}/artifacts/2")
    assert (answer.status_code, answer.json()["code"]) == (404, "artifact-not-found")
    assert answer.json()["detail"].endswith("counted from 0: 0, 1; number 3 was withheld")

    job_id = await submit(client)
    withheld = JobError(code="filtered", message="all was withheld")
    await backends.statuses.finish(await worker.begin(job_id), Outcome(State.FAILED, error=withheld))
    answer = await client.get(f"/v1/jobs/{job_id}/artifacts/0")
    assert answer.json()["detail"].endswith("is failed and has no artifacts: all was withheld")


async def test_page_shows_warnings(client: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The card shows each warning with its code, as text."""
    job_id = await submit(client)
    await worker.succeed(job_id, stored_image(), warnings=[CUT, UNUSED])
    page = (await client.get(f"/jobs/{job_id}", headers={"Accept": "text/html"})).text
    assert "<b>with a lid" not in page
    text = Page(page).text
    for warning in (CUT, UNUSED):
        assert warning.message in text
        assert warning.code in text
