"""Signing in as a person does it, by keyboard or with a screen reader, in either theme."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.api_keys import LINES, key_of
from tests.support.system import System, running_system
from tests.support.web.browser import PATIENCE, expect_state, order
from tests.web.test_accessibility import faults

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def authorized(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    with running_system(Path(tmp_path_factory.mktemp("login")), {"STUDIO_KEYS": LINES}) as running:
        running.start_gateway()
        running.start_worker()
        yield running


@pytest.fixture(params=["light", "dark"])
def themed(chromium: Browser, authorized: System, request: pytest.FixtureRequest) -> Iterator[Page]:
    with chromium.new_context(base_url=authorized.url, color_scheme=request.param, reduced_motion="reduce") as context:
        context.set_default_timeout(PATIENCE)
        yield context.new_page()


def test_in_and_out(themed: Page) -> None:
    """A wrong key is reported beside the field, the right one leads to the wanted page, and signing out leads back."""
    themed.goto("/history")
    field = themed.get_by_label("Your key")
    expect(field).to_be_focused()
    assert faults(themed) == []
    field.fill("nonsense")
    field.press("Enter")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    assert faults(themed) == []
    field.fill(key_of("alice"))
    field.press("Enter")
    expect(themed.get_by_role("heading", name="No photos yet")).to_be_visible()
    assert themed.url.endswith("/history")
    assert faults(themed) == []
    themed.get_by_role("button", name="Sign out").click()
    expect(themed.get_by_role("heading", name="Sign in")).to_be_visible()


def test_photo_of_who_signed_in(themed: Page) -> None:
    """Photos, previews and the script's polling work with the session; after it the page asks for the key again."""
    themed.goto("/")
    themed.get_by_label("Your key").fill(key_of("bob"))
    themed.get_by_role("button", name="Sign in").click()
    order(themed, "tea pot")
    expect_state(themed, "succeeded")
    assert themed.locator("article img").evaluate("each => each.complete && each.naturalWidth > 0")
    order(themed, "SLOW coffee grinder")
    themed.context.clear_cookies()
    expect(themed.get_by_role("heading", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("width", [320, 1280])
def test_fits(themed: Page, width: int) -> None:
    """No page scrolls sideways, signed in or not, and every target is at least 24 pixels high and wide."""
    themed.set_viewport_size({"width": width, "height": 600})
    themed.goto("/login")
    for _ in range(2):
        assert themed.evaluate("document.documentElement.scrollWidth") <= width
        boxes = [each.bounding_box() for each in themed.locator("a:visible, button:visible, input:visible").all()]
        assert [box for box in boxes if box and min(box["width"], box["height"]) < 24] == []
        if themed.get_by_label("Your key").count():
            themed.get_by_label("Your key").fill(key_of("alice"))
            themed.get_by_role("button", name="Sign in").click()
            expect(themed.get_by_role("button", name="Sign out")).to_be_visible()
