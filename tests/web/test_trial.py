"""Sending requests from the reference of the API, in a real browser."""

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.web.browser import PATIENCE

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def opened(page: Page, title: str) -> Locator:
    """Open and return the form under this operation."""
    section = page.locator("section").filter(has=page.get_by_role("heading", name=title, exact=True))
    section.get_by_text("Try it").click()
    return section.locator("form")


def expect_answer(form: Locator, status: str, body: str) -> None:
    form.get_by_role("button").click()
    expect(form.get_by_role("status")).to_have_text(re.compile(rf"^{status}.*ms$"), timeout=PATIENCE)
    expect(form.locator("[data-answer]")).to_contain_text(body)


def test_from_submit_to_image(page: Page) -> None:
    """The id of a job submitted from the reference is filled into its other forms, up to the one for its image."""
    page.goto("/docs")
    expect_answer(opened(page, "Submit a job"), "202", "Location: /v1/jobs/")

    look = opened(page, "Look at a job")
    expect(look.get_by_label("job_id")).to_have_value(re.compile("^[0-9a-f-]{36}$"))
    look.get_by_label("Prefer").fill("wait=20")
    expect_answer(look, "200", '"state": "succeeded"')

    fetch = opened(page, "Fetch an artifact")
    fetch.get_by_label("index").fill("0")
    fetch.get_by_label("format").fill("webp")
    expect_answer(fetch, "200", "Content-Type: image/webp")
    page.wait_for_function("() => document.querySelector('[data-answer] img')?.naturalWidth === 64")


def test_refusal_is_shown(page: Page) -> None:
    """A refusal of the API is shown as it is, and the form can be sent again."""
    page.goto("/docs")
    form = opened(page, "List your jobs")
    form.get_by_label("limit").fill("many")
    form.get_by_role("button").click()
    expect(form.get_by_role("status")).to_have_text(re.compile("^422"))
    expect(form.locator("[data-answer]")).to_contain_text('"pointer": "/limit"')
    form.get_by_label("limit").fill("1")
    expect_answer(form, "200", '"object": "list"')


@pytest.mark.parametrize("width", [320, 1280])
def test_fits(page: Page, width: int) -> None:
    """A form and its answer fit beside or below each other from 320 pixels on."""
    page.set_viewport_size({"width": width, "height": 600})
    page.goto("/docs")
    form = opened(page, "Submit a job")
    expect_answer(form, "202", "Location: /v1/jobs/")
    for part in ("textarea", "[data-answer] pre"):
        box = form.locator(part).bounding_box()
        assert box
        assert box["x"] + box["width"] <= width
    assert page.evaluate("document.documentElement.scrollWidth") <= width
