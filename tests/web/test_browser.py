"""The journey of a person in a real browser, with a real gateway and a real worker behind it."""

import re
import shutil
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.system import System, running_system

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]
PATIENCE = 30_000
SLOW = "SLOW coffee grinder"  # two seconds at the painter's


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Gateway and worker as an operator starts them."""
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
    """Whatever a page complains of (its policy broken, a script failed) fails the test."""
    complaints: list[str] = []
    page = context.new_page()
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    yield page
    # What the network did while it was gone is the test's own doing.
    assert [text for text in complaints if "ERR_INTERNET_DISCONNECTED" not in text] == []


def order(page: Page, product: str) -> None:
    """With no look around the words, so that the painter sees its request first."""
    page.goto("/")
    page.keyboard.type(product)
    page.get_by_label("As described").check()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/jobs/"))


def expect_state(page: Page, state: str) -> None:
    expect(page.locator("#job")).to_have_attribute("data-state", state, timeout=PATIENCE)


def polls(page: Page) -> list[str]:
    """Grows with every request for the card."""
    seen: list[str] = []
    page.on("request", lambda request: seen.append(request.url) if request.url.endswith("/fragment") else None)
    return seen


def test_from_the_keyboard_to_the_picture(page: Page) -> None:
    """Typing and Enter lead to the picture, with the steps on the way, focus on the result, and no poll after it."""
    seen = polls(page)
    order(page, SLOW)
    expect(page.locator(".progress label")).to_have_text(re.compile(r"Step \d+ of 40"), timeout=PATIENCE)
    expect_state(page, "succeeded")
    expect(page.locator("#job-title")).to_be_focused()
    expect(page.locator("#announcer")).to_have_text("Ready")
    expect(page).to_have_title(re.compile("^Ready: "))
    page.wait_for_function("document.querySelector('#job img').naturalWidth === 64")
    asked = len(seen)
    assert asked > 2
    time.sleep(1)  # ten intervals
    assert len(seen) == asked


def test_reload_and_second_tab_show_the_same(page: Page, context: BrowserContext) -> None:
    """A job's page can be reloaded or opened twice while it runs: both end with its picture."""
    order(page, SLOW)
    second = context.new_page()
    second.goto(page.url)
    page.reload()
    for each in (page, second):
        expect_state(each, "succeeded")
        expect(each.locator("#job img")).to_have_count(1)


def test_cancel_stops_a_running_job(page: Page) -> None:
    """The cancel button keeps the focus while the card is replaced around it, and stops the job."""
    order(page, SLOW)
    expect_state(page, "running")
    page.locator("#cancel").focus()
    step = page.locator(".progress label").inner_text()
    expect(page.locator(".progress label")).not_to_have_text(step, timeout=PATIENCE)
    expect(page.locator("#cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect_state(page, "canceled")


def test_lost_network_is_said_and_got_over(page: Page, context: BrowserContext) -> None:
    """Without a network the page says so and goes on by itself when it is back."""
    order(page, SLOW)
    expect_state(page, "running")
    context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text("You are offline", timeout=PATIENCE)
    context.set_offline(False)
    expect_state(page, "succeeded")
    expect(page.locator("#connection")).to_be_hidden()


def test_failure_can_be_tried_again(page: Page) -> None:
    """A failed job says so, gives nothing secret away, and can be tried again."""
    order(page, "FAIL kettle")
    expect_state(page, "failed")
    assert "secret" not in page.content()
    first = page.url
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url(lambda url: url != first and "/jobs/" in url)


def test_back_button_gives_a_form_that_works(page: Page) -> None:
    """Coming back to the form, the button can be pressed again and makes another job."""
    order(page, "tea pot")
    first = page.url
    page.go_back()
    expect(page.get_by_role("button", name="Take the photo")).to_be_enabled()
    page.locator("#product").fill("tea pot")
    page.get_by_role("button", name="Take the photo").click()
    page.wait_for_url(lambda url: url != first and "/jobs/" in url)


def test_pictures_can_be_edited_downloaded_and_deleted(page: Page) -> None:
    """Each of several pictures has its seed and its file; the job can be varied and deleted."""
    page.goto("/")
    page.get_by_text("amber glass perfume bottle").click()
    page.get_by_label("Macro").check()
    page.get_by_role("group", name="Pictures").get_by_label("2").check()
    page.get_by_role("button", name="Take the photo").click()
    expect_state(page, "succeeded")
    expect(page.locator("#job img")).to_have_count(2)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").first.click()
    assert download.value.suggested_filename.endswith("-0.png")
    page.locator("summary", has_text="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("The photo and its files are gone.")).to_be_visible()


def test_markup_is_shown_as_typed(page: Page) -> None:
    """A product that looks like a script is words on the page and runs nowhere."""
    order(page, "<img src=x onerror=alert(1)><script>alert(2)</script>")
    expect_state(page, "succeeded")
    expect(page.locator("#job-title")).to_contain_text("<script>alert(2)</script>")


def test_without_javascript(chromium: Browser, system: System) -> None:
    """Without JavaScript the page reloads itself until the picture is there, and then no more."""
    with chromium.new_context(base_url=system.url, java_script_enabled=False) as context:
        page = context.new_page()
        order(page, SLOW)
        page.locator("#job img").wait_for(timeout=PATIENCE)
        assert page.locator("meta[http-equiv=refresh]").count() == 0


@pytest.mark.parametrize("width", [320, 640, 1280])
def test_fits_and_can_be_hit(page: Page, width: int) -> None:
    """Nothing needs scrolling sideways from 320 pixels on, and every target is at least 24 pixels high and wide."""
    page.set_viewport_size({"width": width, "height": 600})
    order(page, "W" * 300)
    expect_state(page, "succeeded")
    for path in (page.url, "/"):
        page.goto(path)
        page.eval_on_selector_all("details", "all => all.forEach((each) => (each.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        boxes = [each.bounding_box() for each in page.locator("a:visible, button:visible, input:visible").all()]
        assert [box for box in boxes if box and min(box["width"], box["height"]) < 24] == []
