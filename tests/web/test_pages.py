"""A job's page, as a browser without JavaScript shows it."""

import asyncio
import time
from uuid import UUID

import httpx2
import pytest

from services.common.backends import Backends
from services.common.errors import JobNotFound
from services.common.ids import new_job_id
from services.common.schemas import Progress
from tests.support.fakes import FakeWorker
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id, submit

pytestmark = pytest.mark.anyio


async def test_page_follows_the_job(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Page and fragment show the job's place in the queue, its step, and in the end its photo."""
    path = await submit(browser)
    assert "Yours is next" in Page((await browser.get(path)).text).text
    await worker.begin(job_id(path), Progress(step=3, total=8))
    page, fragment = (await browser.get(path)).text, (await browser.get(f"{path}/fragment")).text
    assert "Step 3 of 8" in Page(page).text
    assert Page(fragment).one("progress")["value"] == "37"
    assert "<html" not in fragment
    await worker.succeed(job_id(path), b"image")
    done = Page((await browser.get(path)).text)
    image = done.one("img")
    assert (image["alt"], image["width"], image["height"]) == ("matte black coffee grinder", "64", "32")
    assert (await browser.get(image["src"])).content == b"image"
    saved = await browser.get(next(link["href"] for link in done.all("a") if "download" in link["href"]))
    assert saved.headers["Content-Disposition"].startswith("attachment")


async def test_place_counts_only_earlier_jobs(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A queued job's page names the number of jobs ahead, which later jobs never raise."""
    first, second = await submit(browser), await submit(browser)
    await submit(browser)
    assert "1 ahead of yours" in Page((await browser.get(f"{second}/fragment")).text).text
    await worker.succeed(job_id(first), b"image")
    async with asyncio.timeout(10):
        while "Yours is next" not in Page((await browser.get(f"{second}/fragment")).text).text:
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("settings", [{"poll_seconds": 2.5}], indirect=True)
async def test_server_sets_the_interval(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The fragment names the setting's interval while running, twice that while queued, and none once it is over."""
    path = await submit(browser)
    fragment = f"{path}/fragment"
    assert Page((await browser.get(fragment)).text).one("article")["data-poll"] == "5"
    assert Page((await browser.get(path)).text).one("meta", http_equiv="refresh")["content"] == "5"
    await worker.begin(job_id(path))
    assert Page((await browser.get(fragment)).text).one("article")["data-poll"] == "2.5"
    await worker.succeed(job_id(path), b"image")
    assert "data-poll" not in Page((await browser.get(fragment)).text).one("article")
    assert not Page((await browser.get(path)).text).all("meta", http_equiv="refresh")


@pytest.mark.parametrize("end", ["failed", "canceled"])
async def test_no_ended_job_is_polled(browser: httpx2.AsyncClient, worker: FakeWorker, end: str) -> None:
    """The fragment of a failed or canceled job carries no interval and offers to try again."""
    path = await submit(browser)
    if end == "failed":
        await worker.fail(job_id(path))
    else:
        assert (await browser.post(f"{path}/cancel")).headers["Location"] == path
    page = Page((await browser.get(f"{path}/fragment")).text)
    assert page.one("article")["data-state"] == end
    assert "data-poll" not in page.one("article")
    page.one("form", action=f"{path}/retry")


async def test_failure_says_what_happened(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A failed job's page shows the sentence and the code of its error."""
    path = await submit(browser)
    await worker.fail(job_id(path), "out-of-memory")
    text = Page((await browser.get(path)).text).text
    assert "not this time" in text
    assert "out-of-memory" in text


async def test_cancel_of_a_finished_job_shows_it(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Canceling too late leads to the finished job."""
    path = await submit(browser)
    await worker.succeed(job_id(path), b"image")
    answer = await browser.post(f"{path}/cancel", follow_redirects=True)
    assert (answer.status_code, Page(answer.text).one("article")["data-state"]) == (200, "succeeded")


@pytest.mark.parametrize(("seed", "same"), [("same", True), ("", False)])
async def test_retry_makes_a_new_job(browser: httpx2.AsyncClient, backends: Backends, seed: str, *, same: bool) -> None:
    """Trying again makes a new job with the same parameters, and with the same seed if asked."""
    path = await submit(browser, style="macro", seed="12345")
    again = (await browser.post(f"{path}/retry", data={"seed": seed})).headers["Location"]
    assert again != path
    first, second = [(await backends.statuses.get(job_id(each))).message.params for each in (path, again)]
    assert (second.pop("seed") == first.pop("seed")) is same
    assert second == first


async def test_delete_is_for_good(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A deleted job's page always answers 410, and its photo is gone."""
    path = await submit(browser)
    await worker.succeed(job_id(path), b"image")
    answer = await browser.post(f"{path}/delete", follow_redirects=True)
    assert (answer.url.path, "The photo and its files are gone." in answer.text) == ("/", True)
    for each in (path, f"{path}/fragment"):
        gone = await browser.get(each)
        assert (gone.status_code, "This photo was deleted" in gone.text) == (410, True)


@pytest.mark.parametrize("unknown", ["", "1", "%3Cscript%3E"])
@pytest.mark.parametrize(
    ("method", "tail"), [("GET", ""), ("GET", "/fragment"), ("POST", "/cancel"), ("POST", "/retry")]
)
async def test_unknown_job_is_a_page(browser: httpx2.AsyncClient, unknown: str, method: str, tail: str) -> None:
    """An unknown job is answered 404, as a page for people."""
    answer = await browser.request(method, f"/jobs/{unknown or new_job_id()}{tail}")
    assert answer.status_code == 404
    assert answer.headers["Content-Type"].startswith("text/html")
    assert "No such photo" in answer.text


async def test_job_older_than_the_store_is_looked_for(browser: httpx2.AsyncClient) -> None:
    """A young job that the emptied status store does not know is a 503 with a time to come back, not a 404."""
    answer = await browser.get(f"/jobs/{UUID(int=(int(1000 * time.time()) - 60_000) << 80 | 7 << 76 | 2 << 62)}")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
    assert "Looking for your photo" in answer.text


async def test_live_region_is_outside_what_is_replaced(browser: httpx2.AsyncClient) -> None:
    """Announcements to screen readers go through an element that stays, and is empty at first."""
    path = await submit(browser)
    assert Page((await browser.get(path)).text).one("p", role="status")["id"] == "announcer"
    assert not Page((await browser.get(f"{path}/fragment")).text).all("p", role="status")


async def test_forgotten_job_still_shows(browser: httpx2.AsyncClient, backends: Backends, worker: FakeWorker) -> None:
    """A finished job whose status record is lost is shown from its manifest."""
    path = await submit(browser)
    await worker.succeed(job_id(path), b"image")
    await backends.statuses.remove(job_id(path))
    with pytest.raises(JobNotFound):
        await backends.statuses.get(job_id(path))
    assert Page((await browser.get(path)).text).one("article")["data-state"] == "succeeded"
