"""The visitor's own photos, as a browser without JavaScript sees them."""

import httpx2
import pytest
from starlette.types import ASGIApp

from services.api.pages.history_page import PAGE
from tests.support.fakes import FakeWorker, stored_image
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id, submit

pytestmark = pytest.mark.anyio


def shown(page: Page) -> list[str]:
    """Return the paths of the listed jobs, in order."""
    return [link["href"] for link in page.all("a") if link.get("id", "").startswith("job-")]


async def test_own_photos_newest_first(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Every photo of the visitor is listed with its words and a thumbnail, the newest first."""
    first, second = await submit(browser, prompt="red mug"), await submit(browser, prompt="blue vase")
    await worker.succeed(job_id(first), stored_image())
    await worker.fail(job_id(second))
    page = Page((await browser.get("/history")).text)
    assert shown(page) == [second, first]
    assert "blue vase This photo did not work out, just now red mug just now" in page.text
    thumbnail = await browser.get(page.one("img")["src"])
    assert (thumbnail.status_code, thumbnail.headers["Content-Type"]) == (200, "image/webp")


async def test_variation_keeps_the_first(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A new variation is another photo, and the one before stays in the list."""
    path = await submit(browser)
    await worker.succeed(job_id(path), stored_image())
    again = (await browser.post(f"{path}/retry")).headers["Location"]
    assert shown(Page((await browser.get("/history")).text)) == [again, path]


async def test_history_has_pages(browser: httpx2.AsyncClient) -> None:
    """Older photos are on further pages, each photo on exactly one."""
    made = [await submit(browser) for _ in range(PAGE + 1)]
    first = Page((await browser.get("/history")).text)
    older = Page((await browser.get(first.one("a", rel="next")["href"])).text)
    assert shown(first) + shown(older) == made[::-1]
    assert not older.all("a", rel="next")
    assert (await browser.get("/history?cursor=nonsense")).headers["Location"] == "/history"


async def test_history_is_ones_own(app: ASGIApp, browser: httpx2.AsyncClient) -> None:
    """A visitor sees neither the photos of other visitors nor those of programs."""
    await submit(browser)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://studio.test") as other:
        assert (await other.post("/v1/jobs", json={"prompt": "secret mug"})).status_code == 202
        page = Page((await other.get("/history")).text)
        assert shown(page) == []
        assert "No photos yet" in page.text
        own = (await other.post("/", data={"prompt": "tea pot"})).headers["Location"]
        assert shown(Page((await other.get("/history")).text)) == [own]


async def test_history_is_looked_at_again_while_it_moves(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The list names a polling interval while one of its photos is being made, and none after that."""
    path = await submit(browser)
    assert Page((await browser.get("/history/fragment")).text).one("div", id="history")["data-poll"] == "2"
    assert Page((await browser.get("/history")).text).one("meta", http_equiv="refresh")["content"] == "2"
    await worker.succeed(job_id(path), stored_image())
    assert "data-poll" not in Page((await browser.get("/history/fragment")).text).one("div", id="history")


async def test_deleted_photo_leaves_the_list(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A deleted photo is not listed any more."""
    path = await submit(browser)
    await worker.succeed(job_id(path), stored_image())
    await browser.post(f"{path}/delete")
    assert shown(Page((await browser.get("/history")).text)) == []
