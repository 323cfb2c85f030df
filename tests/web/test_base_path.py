"""A gateway that shares its host name with other services: all its URLs lie below the path of its public URL."""

from urllib.parse import urlsplit

import httpx2
import pytest

from tests.support.fakes import FakeWorker
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id, submit

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.parametrize("settings", [{"public_url": "https://studio.test/photos/"}], indirect=True),
]

BASE = "/photos"
LINKS = ("href", "src", "action", "data-url", "data-path")
stripped_or_not = pytest.mark.parametrize("prefix", [BASE, ""], ids=["passed on", "taken off by the proxy"])


async def pages(browser: httpx2.AsyncClient, worker: FakeWorker, prefix: str) -> list[Page]:
    """Return one page of each kind, with a finished photo and one that is being made."""
    browser.base_url = f"https://studio.test{prefix}"  # the cookie is for HTTPS
    done, waiting = [job_id(await submit(browser)) for _ in range(2)]
    await worker.succeed(done, b"image")
    paths = ("/", "/history", "/status", "/docs", f"/jobs/{done}", f"/jobs/{waiting}", "/jobs/none", "/busy")
    return [Page((await browser.get(path)).text) for path in paths]


@stripped_or_not
async def test_pages_link_below_it(browser: httpx2.AsyncClient, worker: FakeWorker, prefix: str) -> None:
    """Every link, form, image and script of every page lies below the path, whether a proxy takes it off or not."""
    links = [
        element[name]
        for page in await pages(browser, worker, prefix)
        for _, element in page.elements
        for name in LINKS
        if element.get(name, "#").startswith("/")
    ]
    assert [link for link in links if not link.startswith(f"{BASE}/")] == []
    fetched = {link for link in links if "/static/" in link or link.endswith(("/artifacts/0", "?download=1"))}
    assert len(fetched) > 5
    for link in fetched:
        answer = await browser.get(f"https://studio.test{prefix}{link.removeprefix(BASE)}")
        assert answer.status_code == 200, link


@stripped_or_not
async def test_journey_stays_below_it(browser: httpx2.AsyncClient, prefix: str) -> None:
    """A form leads to a page below the path, its cookie is limited to the path, and a problem names the path."""
    browser.base_url = f"https://studio.test{prefix}"
    page = Page((await browser.get("/")).text)
    sent = await browser.post("/", data={**page.fields(), "prompt": "mug"})
    assert sent.headers["Location"].startswith(f"{BASE}/jobs/")
    assert f"Path={BASE};" in f"{sent.headers['Set-Cookie']};"
    refused = (await browser.get("/v1/jobs/none")).json()
    assert (refused["type"], refused["instance"]) == (f"{BASE}/problems/job-not-found", f"{BASE}/v1/jobs/none")
    assert (await browser.get(f"https://studio.test{prefix}/problems/job-not-found")).json()["type"] == refused["type"]


async def test_links_of_a_job(browser: httpx2.AsyncClient) -> None:
    """The API's links are absolute, and lead back to the job."""
    answer = await browser.post(f"{BASE}/v1/jobs", json={"prompt": "mug"})
    assert urlsplit(answer.headers["Location"]).path == f"{BASE}/v1/jobs/{answer.json()['id']}"
    assert (await browser.get(answer.headers["Location"])).json()["id"] == answer.json()["id"]


async def test_neighbours_are_not_ours(browser: httpx2.AsyncClient) -> None:
    """A path that only begins with the same letters is a 404, and probes need no base path."""
    assert (await browser.get("/photos2/v1/models")).status_code == 404
    assert (await browser.get("/livez")).status_code == 200
    assert (await browser.get(BASE)).status_code == 200
