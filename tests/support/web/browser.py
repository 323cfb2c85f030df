"""A real browser in front of a real gateway and worker, and the actions of a person in it."""

import re
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, expect, sync_playwright

from tests.support.system import System, running_system

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
PATIENCE = 30_000
SLOW = "SLOW coffee grinder"  # takes the painter two seconds


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start gateway and worker as an operator does."""
    with running_system(tmp_path_factory.mktemp("system"), {}) as running:
        running.start_gateway()
        running.start_worker()
        yield running


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium")
    assert path, "chromium is missing: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def context(chromium: Browser, system: System) -> Iterator[BrowserContext]:
    with chromium.new_context(base_url=system.url) as opened:
        opened.set_default_timeout(PATIENCE)
        yield opened


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """Open a page that fails the test if its console reports an error: a broken policy or a failed script."""
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if _is_error(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    yield page
    # The test itself causes lost connections, full queues and refusals.
    own = ("ERR_INTERNET_DISCONNECTED", "ERR_FAILED", "ERR_CONNECTION", "ERR_EMPTY", "status of 503", "status of 422")
    others = [text for text in complaints if not any(each in text for each in own)]
    assert not others, others


def _is_error(message: ConsoleMessage) -> bool:
    """True but for a preview that is gone: the job may end between the page's poll and its request for the image."""
    gone = "status of 404" in message.text and "/preview?" in message.location["url"]
    return message.type == "error" and not gone


def order(page: Page, product: str) -> None:
    """Order a photo without a look, so that the prompt begins with the product, which tells the painter what to do."""
    page.goto("/")
    expect(page.locator("#prompt")).to_be_focused()
    page.keyboard.type(product)
    page.get_by_label("As described").check()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/jobs/"))


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("#job")).to_have_attribute("data-state", state, timeout=PATIENCE)


def polls(page: Page) -> list[str]:
    """Return a list that grows with every request for the card."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url) if request.url.endswith("/fragment") else None)
    return seen


def expect_silence(page: Page, seen: list[str]) -> None:
    """Check that the page does not ask for the card any more, for ten times the interval."""
    asked = len(seen)
    page.wait_for_timeout(1000)
    assert len(seen) == asked, seen[asked:]
