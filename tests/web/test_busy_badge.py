"""The badge beside the button says how busy the studio is, before a person submits."""

import httpx2
import pytest

from services.api.core.gateway import Gateway
from services.api.core.queue_positions import QueuePositions
from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from services.common.presence import Pace
from services.common.settings import Settings
from tests.support.fake_backends import without
from tests.support.fakes import FakeWorker
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id, submit

pytestmark = pytest.mark.anyio

MODEL = "studio-tiny"
PACES = {"128x128": Pace(call=0.25, each=0.25, spread=0.1)}  # 8 steps: 2 s an image


@pytest.fixture(autouse=True)
def _looking_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read the queues each time: the gateway remembers them for a second or longer, and a test moves on faster."""
    monkeypatch.setattr("services.api.core.queue_positions.FRESH_SECONDS", 0.0)
    monkeypatch.setattr("services.api.core.queue_positions.BRIEF_SECONDS", 10.0)


async def badge(browser: httpx2.AsyncClient) -> tuple[str, str]:
    """Return the badge's mood and words, which are the same on the page and by itself."""
    alone = (await browser.get("/busy")).text
    assert alone.strip() in (await browser.get("/")).text
    page = Page(alone)
    return page.one("p", id="busy")["data-mood"], page.text


async def test_badge_says_how_long_the_queue_is(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The badge goes from no worker over loading to ready, names the time a job takes, and counts the jobs ahead."""
    assert await badge(browser) == ("away", "No worker yet")
    await worker.announce(MODEL, "loading")
    assert await badge(browser) == ("loading", "Warming up")
    await worker.announce(MODEL)
    assert await badge(browser) == ("ready", "Ready")
    await worker.announce(MODEL, paces=PACES)
    assert await badge(browser) == ("ready", "Ready, 1 to 3 s")
    for _ in range(3):
        await submit(browser)
    mood, text = await badge(browser)
    assert (mood, text.partition(",")[0]) == ("busy", "3 ahead")
    assert text.endswith(" s")


async def test_badge_is_for_the_forms_model(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The badge counts only the workers and jobs of the form's model."""
    await worker.announce("sd15")
    await submit(browser)
    assert "No worker yet, 1 ahead" in (await browser.get("/")).text
    assert "Ready" in (await browser.get("/?model=sd15")).text


async def test_models_to_choose_from(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The page offers a choice of models where workers of two are ready, and none where there is only one."""
    await worker.announce(MODEL)
    assert "data-keeps" not in (await browser.get("/")).text
    await worker.announce("sd15")
    for model in (MODEL, "sd15"):
        page = Page((await browser.get(f"/?model={model}")).text)
        links = [link for link in page.all("a") if "data-keeps" in link]
        assert [link["href"] for link in links] == [f"/?model={MODEL}", "/?model=sd15"]
        assert [link["href"] for link in links if "aria-current" in link] == [f"/?model={model}"]
        assert page.one("input", name="model")["value"] == model


async def test_badge_does_not_guess(
    browser: httpx2.AsyncClient, backends: Backends, settings: Settings, catalogue: Catalogue, state: dict[str, object]
) -> None:
    """While the status store is down, the page works and says that the waiting time is unknown."""
    down = without(backends, "statuses")
    state.update(gateway=Gateway(down, catalogue, settings), positions=QueuePositions(down, catalogue))
    assert await badge(browser) == ("unknown", "Waiting time unknown")


async def test_waiting_job_is_told_place_and_time(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """A queued job's page names the jobs ahead and the time it may take, or says that the model is loading."""
    await worker.announce(MODEL, "loading", paces=PACES)
    first, second = await submit(browser), await submit(browser)
    assert "Warming up the model" in Page((await browser.get(first)).text).text
    await worker.announce(MODEL, paces=PACES)
    assert "Yours is next, 1 to 3 s." in Page((await browser.get(first)).text).text
    assert "1 ahead of yours, 3 to 7 s." in Page((await browser.get(second)).text).text
    await worker.begin(job_id(first))
    assert Page((await browser.get(first)).text).one("li", aria_current="step")
