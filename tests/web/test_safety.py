"""The pages escape what was typed, refuse other sites' forms, and control caching."""

import re

import httpx2
import pytest
from starlette.types import ASGIApp

from services.api.core.gateway import Gateway
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from services.common.ids import new_job_id
from services.common.schemas import State
from services.common.settings import Settings
from tests.support.fake_backends import without
from tests.support.fakes import FakeWorker
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id, submit

pytestmark = pytest.mark.anyio

MARKUP = '<script>alert(1)</script>"><img src=x onerror=alert(2)>{{7*7}}%s'


async def test_markup_stays_text(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """Typed text is shown as typed on every page, and never becomes an element or an attribute."""
    path = await submit(browser, prompt=MARKUP, negative_prompt=MARKUP)
    answers = [await browser.get(path)]
    await worker.succeed(job_id(path), b"one", b"two")
    answers += [await browser.get(each) for each in (path, f"{path}/fragment", f"/?from={job_id(path)}", "/history")]
    answers.append(await browser.get("/", params={"prompt": MARKUP}))
    answers.append(await browser.post("/", data={"prompt": MARKUP, "steps": MARKUP, "style": MARKUP, "size": MARKUP}))
    for answer in answers:
        page = Page(answer.text)
        shown = [page.text, *(value for _, found in page.elements for value in found.values())]
        assert any(MARKUP in each for each in shown)
        assert all("src" in found for found in page.all("script"))
        assert not [found for _, found in page.elements if any(name.startswith("on") for name in found)]


async def test_pages_keep_to_their_policy(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """No page has an inline script or style, or a link to another site."""
    path = await submit(browser)
    answers = [await browser.get(each) for each in ("/", path, f"/jobs/{new_job_id()}", "/history")]
    await worker.succeed(job_id(path), b"image")
    for answer in [*answers, await browser.get(path)]:
        page = Page(answer.text)
        assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
        assert not page.all("style")
        assert not [found for _, found in page.elements if "style" in found]
        links = [
            value for _, found in page.elements for name in ("src", "href", "action") if (value := found.get(name))
        ]
        assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in links)


@pytest.mark.parametrize(
    "sender",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.test"},
        {"Origin": "null"},
        {"Origin": "http://[broken"},
    ],
)
@pytest.mark.parametrize("action", ["/", "cancel", "retry", "delete"])
async def test_other_sites_may_not_post(
    app: ASGIApp, browser: httpx2.AsyncClient, backends: Backends, sender: dict[str, str], action: str
) -> None:
    """A form sent from another site is refused and changes nothing."""
    path = await submit(browser)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://studio.test") as other:
        target = "/" if action == "/" else f"{path}/{action}"
        answer = await other.post(target, data={"prompt": "tea pot"}, headers=sender)
    assert answer.status_code == 403
    assert [(job.job_id, job.state) for job in await backends.statuses.list()] == [(job_id(path), State.QUEUED)]


@pytest.mark.parametrize("settings", [{"public_url": "https://photos.example"}], indirect=True)
@pytest.mark.parametrize("origin", ["http://studio.test", "https://photos.example", None])
async def test_own_pages_may_post(app: ASGIApp, origin: str | None) -> None:
    """Without `Sec-Fetch-Site` a form is accepted from the origin of Host or of the public URL, and without any."""
    headers = {} if origin is None else {"Origin": origin}
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://studio.test") as client:
        assert (await client.post("/", data={"prompt": "tea pot"}, headers=headers)).status_code == 303


async def test_lost_backend_is_a_page(
    browser: httpx2.AsyncClient, backends: Backends, settings: Settings, catalogue: Catalogue, state: dict[str, object]
) -> None:
    """While the status store is down, form and job page answer 503 as a page, which does not name its address."""
    path = await submit(browser)
    down = without(backends, "statuses")
    state["gateway"] = Gateway(down, catalogue, settings)
    for answer in (await browser.get(path), await browser.post("/", data={"prompt": "tea pot"})):
        assert answer.status_code == 503
        assert "The studio is not answering" in answer.text
        assert "secret-host" not in answer.text
    assert Page(answer.text).fields()["prompt"] == "tea pot"


async def test_assets_are_kept_by_content(browser: httpx2.AsyncClient) -> None:
    """Style sheet, script and icon are cached forever under the URL of their content, and under no other URL."""
    page = Page((await browser.get("/")).text)
    names = [
        page.one("link", rel="stylesheet")["href"],
        page.one("script")["src"],
        page.one("link", rel="icon")["href"],
    ]
    for name in names:
        assert re.fullmatch(r"/static/[a-z.]+\?v=[0-9a-f]{12}", name)
        assert "immutable" in (await browser.get(name)).headers["Cache-Control"]
        stale = await browser.get(name[:-3] + "xyz")
        assert (stale.status_code, stale.headers["Cache-Control"]) == (200, "no-cache")
    assert (await browser.get("/static/../templates/home.html")).status_code == 404


async def test_pages_are_never_stored(browser: httpx2.AsyncClient) -> None:
    """No cache stores a page, as each form has a token of its own."""
    first, second = await browser.get("/"), await browser.get("/")
    assert first.headers["Cache-Control"] == "no-store"
    assert Page(first.text).fields()["token"] != Page(second.text).fields()["token"]
