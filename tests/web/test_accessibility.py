"""The pages work with a screen reader, a keyboard and in a small window, by axe-core's rules and by ours."""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from tests.support.system import System
from tests.support.web.browser import PATIENCE, SLOW, expect_state, order

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(params=["light", "dark"])
def themed(chromium: Browser, system: System, request: pytest.FixtureRequest) -> Iterator[Page]:
    with chromium.new_context(base_url=system.url, color_scheme=request.param, reduced_motion="reduce") as context:
        context.set_default_timeout(PATIENCE)
        yield context.new_page()


def faults(page: Page) -> list[str]:
    """Return the serious and critical violations that axe finds, with all details folded out."""
    page.eval_on_selector_all("details", "all => all.forEach((each) => (each.open = true))")
    found = Axe().run(page).response["violations"]
    return [f"{each['id']}: {each['nodes']}" for each in found if each["impact"] in ("serious", "critical")]


def test_first_page(themed: Page) -> None:
    """The form has no serious fault, with its details open and with a refused field."""
    themed.goto("/")
    assert faults(themed) == []
    themed.locator("form").evaluate("form => (form.noValidate = true)")
    themed.locator("#prompt").fill("mug")
    themed.locator("#steps").fill("999")
    themed.get_by_role("button", name="Take the photo").click()
    expect(themed.locator("#steps")).to_have_attribute("aria-invalid", "true")
    expect(themed.locator("#steps")).to_be_focused()
    assert faults(themed) == []


def test_running(themed: Page) -> None:
    """A running job's page has no serious fault."""
    order(themed, SLOW)
    expect_state(themed, "running")
    # No request is answered from here on, so that the page stays as it is.
    themed.route("**/fragment", lambda _: None)
    expect_state(themed, "running")
    assert faults(themed) == []


def test_succeeded(themed: Page) -> None:
    """A finished job's page has no serious fault."""
    order(themed, "tea pot")
    expect_state(themed, "succeeded")
    assert faults(themed) == []


def test_failed(themed: Page) -> None:
    """A failed job's page has no serious fault."""
    order(themed, "FAIL kettle")
    expect_state(themed, "failed")
    assert faults(themed) == []


def test_history(themed: Page) -> None:
    """The list of photos has no serious fault, empty or not."""
    themed.goto("/history")
    assert faults(themed) == []
    order(themed, "tea pot")
    expect_state(themed, "succeeded")
    themed.goto("/history")
    expect(themed.get_by_role("listitem")).to_have_count(1)
    assert faults(themed) == []


def test_reference(themed: Page) -> None:
    """The reference of the API, which every page links to, has no serious fault."""
    themed.goto("/")
    themed.get_by_role("link", name="API").click()
    expect(themed.get_by_role("heading", name="The API")).to_be_visible()
    assert faults(themed) == []


def test_status(themed: Page) -> None:
    """The status page has no serious fault, and refreshes itself."""
    themed.goto("/status")
    told = themed.get_by_text("ready for").first
    expect(told).to_be_visible()
    told.evaluate("told => told.textContent = 'old'")
    expect(told).to_be_visible(timeout=PATIENCE)  # after the page has asked again
    assert faults(themed) == []


def test_reduced_motion_stops_animations(themed: Page) -> None:
    """With reduced motion no animation runs while a job does."""
    order(themed, SLOW)
    expect_state(themed, "running")
    assert themed.evaluate("document.getAnimations().length") == 0


@pytest.mark.parametrize("width", [320, 640, 1280])
def test_fits_and_can_be_hit(page: Page, width: int) -> None:
    """No page scrolls sideways from 320 pixels on, and every target is at least 24 pixels high and wide."""
    page.set_viewport_size({"width": width, "height": 600})
    order(page, "W" * 300)
    expect_state(page, "succeeded")
    for path in (page.url, "/", "/history", "/status"):
        page.goto(path)
        page.eval_on_selector_all("details", "all => all.forEach((each) => (each.open = true))")
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        targets = page.locator("a:visible, button:visible, input:visible, select:visible, summary:visible")
        boxes = [each.bounding_box() for each in targets.all()]
        assert [box for box in boxes if box and min(box["width"], box["height"]) < 24] == []
