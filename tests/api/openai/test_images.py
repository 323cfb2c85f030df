"""OpenAI's route refuses requests before and after there is a job; the rest is in tests/e2e/test_openai.py."""

import asyncio

import httpx2
import pytest

from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.ports import Outcome
from services.common.schemas import JobError, State
from tests.support.fakes import FakeWorker

pytestmark = pytest.mark.anyio


@pytest.fixture
def catalogue(catalogue: Catalogue) -> Catalogue:
    reader = Model(name="reader", title="Reader", modality="tts", adapter="none", source=".")
    return catalogue.model_copy(update={"models": {**catalogue.models, "reader": reader}})


@pytest.mark.parametrize(
    ("settings", "named"), [({}, {"model": "reader"}), ({"model": "reader"}, {})], indirect=["settings"]
)
async def test_model_that_makes_no_images(client: httpx2.AsyncClient, named: dict[str, str]) -> None:
    """A model that speaks is refused, named in the request or as the default model."""
    answer = await client.post("/v1/images/generations", json={"prompt": "red mug", **named})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "model"
    assert "studio-tiny" in answer.json()["error"]["message"]
    assert "allowed: reader" not in answer.json()["error"]["message"]


async def test_what_fails_after_the_job_is_not_repeated(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends
) -> None:
    """Once there is a job, every refusal keeps OpenAI's client from making another one by itself."""
    body = {"prompt": "red mug", "response_format": "b64_json", "output_format": "jpeg"}
    asking = asyncio.create_task(client.post("/v1/images/generations", json=body))
    async with asyncio.timeout(10):
        while not (jobs := await backends.statuses.list()):
            await asyncio.sleep(0.01)
    await worker.succeed(jobs[0].job_id, b"no picture")

    answer = await asking

    assert (answer.status_code, answer.headers["X-Job-Id"]) == (400, jobs[0].job_id)
    assert answer.headers["x-should-retry"] == "false"


async def test_filtered_images_are_no_failure_of_the_server(
    client: httpx2.AsyncClient, worker: FakeWorker, backends: Backends
) -> None:
    """Images that were all withheld are a 400, which OpenAI's client does not ask for again."""
    asking = asyncio.create_task(client.post("/v1/images/generations", json={"prompt": "red mug"}))
    async with asyncio.timeout(10):
        while not (jobs := await backends.statuses.list()):
            await asyncio.sleep(0.01)
    withheld = JobError(code="filtered", message="the safety checker withheld it")
    await backends.statuses.finish(await worker.begin(jobs[0].job_id), Outcome(State.FAILED, error=withheld))

    answer = await asking

    error = answer.json()["error"]
    assert (answer.status_code, error["type"], error["code"]) == (400, "invalid_request_error", "filtered")
    assert error["message"] == withheld.message
    assert answer.headers["x-should-retry"] == "false"
