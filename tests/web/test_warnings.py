"""The pages do not draw or show another thing than the one named without a word."""

import httpx2
import pytest

from services.common.backends import Backends
from services.common.ids import new_job_id
from services.common.ports import Outcome
from services.common.schemas import JobError, JobWarning, State
from tests.support.fakes import FakeWorker
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id, submit

pytestmark = pytest.mark.anyio


async def test_form_of_a_model_that_is_gone(browser: httpx2.AsyncClient, backends: Backends) -> None:
    """A form for a model that is not on offer any more makes no job with another one: it comes back and says so."""
    fields = Page((await browser.get("/")).text).fields()
    answer = await browser.post("/", data={**fields, "prompt": "red mug", "model": "gone"})

    page = Page(answer.text)
    assert answer.status_code == 422
    assert "“gone” is not on offer here" in page.text
    assert (page.fields()["prompt"], page.fields()["model"]) == ("red mug", "studio-tiny")
    assert await backends.statuses.list() == []


@pytest.mark.parametrize(("query", "told"), [("model=gone", "“gone” is not on offer"), ("from=gone", "Not filled in")])
async def test_form_that_is_not_as_asked_for(browser: httpx2.AsyncClient, query: str, told: str) -> None:
    """A link to a model or a photo that is not there shows the form as new, and says so."""
    answer = await browser.get(f"/?{query.replace('from=gone', f'from={new_job_id()}')}")
    assert answer.status_code == 200
    assert told in Page(answer.text).text


async def test_image_that_is_left_keeps_its_number(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The one of two images that was not filtered is shown with its own seed, and what became of the other."""
    path = await submit(browser, count="2")
    warning = JobWarning(code="outputs-filtered", message="1 of 2 was withheld")
    await worker.succeed(job_id(path), b"image", warnings=[warning])
    page = Page((await browser.get(path)).text)
    assert page.one("img")["alt"].endswith("1 of 2")
    assert "Seed 0" in page.text
    assert warning.message in page.text


async def test_filtered_photo_is_tried_with_another_seed(
    browser: httpx2.AsyncClient, worker: FakeWorker, backends: Backends
) -> None:
    """Trying a filtered photo again takes another seed: the same one would be filtered again."""
    path = await submit(browser, seed="5")
    lease = await worker.begin(job_id(path))
    error = JobError(code="filtered", message="the safety checker withheld it")
    await backends.statuses.finish(lease, Outcome(State.FAILED, error=error))
    page = Page((await browser.get(path)).text)
    assert "the safety checker withheld it" in page.text
    assert page.one("input", name="seed")["value"] == ""
