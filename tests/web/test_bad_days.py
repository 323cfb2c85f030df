"""When the network drops, the gateway is away or the queue is full, the page says so and keeps what was typed."""

import re
import time
from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.support.system import System, running_system
from tests.support.web.browser import PATIENCE, SLOW, expect_state, order

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


@pytest.fixture
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start a system for each test, as each test breaks its own."""
    with running_system(tmp_path_factory.mktemp("system"), {}) as running:
        yield running


def test_lost_network_is_said_and_got_over(page: Page, context: BrowserContext, system: System) -> None:
    """Without a network the page says so and goes on by itself when it is back."""
    system.start_gateway()
    system.start_worker()
    order(page, SLOW)
    expect_state(page, "running")
    context.set_offline(True)
    expect(page.locator("#connection")).to_contain_text("You are offline", timeout=PATIENCE)
    expect(page.locator("#announcer")).to_contain_text("You are offline")
    context.set_offline(False)
    expect_state(page, "succeeded")
    expect(page.locator("#connection")).to_be_hidden()


def test_gateway_that_does_not_answer_is_asked_less_and_less(page: Page, system: System) -> None:
    """Each failed request makes the page wait longer for the next, until one succeeds."""
    system.start_gateway()
    order(page, "tea pot")
    asked: list[float] = []
    page.on("request", lambda request: asked.append(time.monotonic()) if "/fragment" in request.url else None)
    page.route("**/fragment", lambda route: route.abort())
    expect(page.locator("#connection")).to_contain_text("The studio is not answering", timeout=PATIENCE)
    while len(asked) < 5:
        page.wait_for_timeout(100)
    assert asked[4] - asked[3] > 1.5 * (asked[2] - asked[1])
    page.unroute("**/fragment")
    expect(page.locator("#connection")).to_be_hidden(timeout=PATIENCE)


@pytest.mark.parametrize("event", ["visibilitychange", "online"])
def test_page_that_was_away_looks_at_once(page: Page, system: System, event: str) -> None:
    """A page asks at once when its tab comes to the front or the network comes back."""
    system.start_gateway(poll_seconds="60")
    order(page, "tea pot")
    system.start_worker()
    system.wait(page.url.rpartition("/")[2])
    expect_state(page, "queued")
    page.evaluate("event => (event === 'online' ? window : document).dispatchEvent(new Event(event))", event)
    expect_state(page, "succeeded")


def test_form_outlives_the_gateway(page: Page, system: System) -> None:
    """With the gateway gone, the form keeps the typed text and says so, and works when the gateway is back."""
    gateway = system.start_gateway()
    page.goto("/")
    page.locator("#prompt").fill("tea pot")
    gateway.kill()
    gateway.wait()
    expect(page.locator("#connection")).to_contain_text("What you typed stays here", timeout=PATIENCE)
    system.start_gateway()
    expect(page.locator("#connection")).to_be_hidden(timeout=PATIENCE)
    expect(page.locator("#prompt")).to_have_value("tea pot")
    page.get_by_role("button", name="Take the photo").click()
    page.wait_for_url(re.compile("/jobs/"))


def test_full_queue_keeps_the_form(page: Page, system: System) -> None:
    """A full queue is reported with the time to come back; then one press sends the form as it was filled in."""
    system.start_gateway(queue_limit="1")
    order(page, "first mug")
    first = page.url
    page.goto("/")
    page.locator("#prompt").fill("second mug")
    page.get_by_label("Macro").check()
    page.get_by_text("Details", exact=True).click()
    page.locator("#seed").fill("7")
    page.get_by_role("button", name="Take the photo").click()
    expect(page.locator(".notice[role=status]")).to_contain_text("Try again in about 10 seconds")
    expect(page.locator("#busy")).to_have_text("Full just now")
    expect(page.locator("#prompt")).to_have_value("second mug")
    expect(page.get_by_label("Macro")).to_be_checked()
    expect(page.locator("#seed")).to_have_value("7")
    system.start_worker()
    system.wait(first.rpartition("/")[2])
    page.get_by_role("button", name="Take the photo").click()
    page.wait_for_url(re.compile("/jobs/"))
    expect(page.locator("#job-title")).to_have_text("second mug")
