"""The journey of a person in a real browser, with a real gateway and worker behind it."""

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.support.system import System
from tests.support.web.browser import PATIENCE, SLOW, expect_silence, expect_state, order, polls

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]


def test_from_the_keyboard_to_the_photo(page: Page) -> None:
    """Typing and Enter lead to the photo, with the steps on the way, focus on the result, and no poll after it."""
    seen = polls(page)
    order(page, SLOW)
    expect(page.locator(".progress label")).to_have_text(re.compile(r"Step \d+ of 40"), timeout=PATIENCE)
    expect_state(page, "succeeded")
    expect(page.locator("#job-title")).to_be_focused()
    expect(page.locator("#announcer")).to_have_text("Ready")
    expect(page).to_have_title(re.compile("^Ready: "))
    page.wait_for_function("() => document.querySelector('#job img').naturalWidth === 64")
    assert len(seen) > 2
    expect_silence(page, seen)


def test_reload_and_second_tab_show_the_same(page: Page, context: BrowserContext) -> None:
    """A job's page can be reloaded or opened twice while the job runs: both pages end with its photo."""
    order(page, SLOW)
    second = context.new_page()
    second.goto(page.url)
    page.reload()
    for each in (page, second):
        expect_state(each, "succeeded")
        expect(each.locator("#job img")).to_have_count(1)


def test_two_jobs_are_never_mixed_up(page: Page, context: BrowserContext) -> None:
    """Two pages that are open at the same time each show their own job, on the way and in the end."""
    order(page, f"{SLOW} one")
    second = context.new_page()
    order(second, f"{SLOW} two")
    for each, word in ((page, "one"), (second, "two")):
        expect_state(each, "succeeded")
        expect(each.locator("#job-title")).to_have_text(f"{SLOW} {word}")
        path = each.url.rpartition("/")[2]
        expect(each.locator("#job img")).to_have_attribute("src", f"/v1/jobs/{path}/artifacts/0")


def test_preview_shows_the_photo_coming(page: Page) -> None:
    """While the steps go on, the page shows a preview of the photo."""
    order(page, SLOW)
    page.wait_for_function("() => document.querySelector('#job .preview')?.naturalWidth > 0")
    expect_state(page, "succeeded")
    expect(page.locator("#job .preview")).to_have_count(0)


def test_badge_moves_by_itself(page: Page, context: BrowserContext) -> None:
    """The first page says that the studio is ready, and without a reload that another job is ahead."""
    page.goto("/")
    expect(page.locator("#busy")).to_contain_text("Ready")
    order(context.new_page(), SLOW)
    expect(page.locator("#busy")).to_contain_text("1 ahead", timeout=PATIENCE)
    expect(page.locator("#busy")).to_contain_text("Ready", timeout=PATIENCE)


def test_photo_is_found_again(page: Page) -> None:
    """The header leads to the visitor's photos, and a thumbnail leads to the photo while it is made and after."""
    order(page, SLOW)
    path = page.url
    page.get_by_role("link", name="Your photos").click()
    photo = page.get_by_role("link", name=SLOW)
    expect(photo).to_contain_text("Generating")
    page.wait_for_function("() => document.querySelector('#history img')?.naturalWidth > 0")
    photo.click()
    expect(page).to_have_url(path)
    expect_state(page, "succeeded")
    page.go_back()
    expect(page.get_by_role("link", name="Take the first one")).to_have_count(0)


def test_settings_are_copied(page: Page, context: BrowserContext, system: System) -> None:
    """The copied settings are the body of a request for the same photo; without a clipboard they are selected."""
    order(page, "tea pot")
    expect_state(page, "succeeded")
    page.get_by_text("Settings", exact=True).click()
    page.get_by_role("button", name="Copy settings").click()
    expect(page.locator("#announcer")).to_have_text(re.compile("Copied|Selected"))
    selected = page.evaluate("getSelection().toString()")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.reload()
    page.get_by_text("Settings", exact=True).click()
    page.get_by_role("button", name="Copy settings").click()
    expect(page.locator("#announcer")).to_have_text("Copied")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert selected in ("", copied)
    answer = system.client.post("/v1/jobs", content=copied, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["params"]["prompt"]) == (202, "tea pot")


def test_cancel_stops_a_running_job(page: Page) -> None:
    """The cancel button keeps the focus while the card around it is replaced, and stops the job."""
    seen = polls(page)
    order(page, SLOW)
    expect_state(page, "running")
    page.locator("#cancel").focus()
    step = page.locator(".progress label").inner_text()
    expect(page.locator(".progress label")).not_to_have_text(step, timeout=PATIENCE)
    expect(page.locator("#cancel")).to_be_focused()
    page.keyboard.press("Enter")
    expect_state(page, "canceled")
    expect_silence(page, seen)


def test_failure_can_be_tried_again(page: Page) -> None:
    """A failed job says so, shows no secret, and can be tried again."""
    seen = polls(page)
    order(page, "FAIL kettle")
    expect_state(page, "failed")
    expect_silence(page, seen)
    assert "secret" not in page.content()
    first = page.url
    page.get_by_role("button", name="Try again").click()
    page.wait_for_url(lambda url: url != first and "/jobs/" in url)


def test_back_button_gives_a_form_that_works(page: Page) -> None:
    """After the back button the form can be sent again, and makes another job."""
    order(page, "tea pot")
    first = page.url
    page.go_back()
    expect(page.get_by_role("button", name="Take the photo")).to_be_enabled()
    page.locator("#prompt").fill("tea pot")
    page.get_by_role("button", name="Take the photo").click()
    page.wait_for_url(lambda url: url != first and "/jobs/" in url)


def test_photos_can_be_edited_downloaded_and_deleted(page: Page) -> None:
    """Each of several photos has its seed and its file, and the job can be deleted."""
    page.goto("/")
    page.get_by_role("link", name="red mug").click()
    page.get_by_label("Macro").check()
    page.get_by_role("group", name="Photos").get_by_label("2").check()
    page.get_by_role("button", name="Take the photo").click()
    expect_state(page, "succeeded")
    expect(page.locator("#job img")).to_have_count(2)
    for name, suffix in (("PNG", "-0.png"), ("JPEG", "-0.jpg"), ("WebP", "-0.webp")):
        with page.expect_download() as download:
            page.get_by_role("link", name=f"Download photo 1 as {name}").click()
        assert download.value.suggested_filename.endswith(suffix)
    page.locator("summary", has_text="Delete").click()
    page.get_by_role("button", name="Delete for good").click()
    expect(page.get_by_text("The photo and its files are gone.")).to_be_visible()


def test_markup_is_shown_as_typed(page: Page) -> None:
    """A product that looks like a script is shown as text and never runs."""
    order(page, "<img src=x onerror=alert(1)><script>alert(2)</script>")
    expect_state(page, "succeeded")
    expect(page.locator("#job-title")).to_contain_text("<script>alert(2)</script>")


def test_without_javascript(chromium: Browser, system: System) -> None:
    """Without JavaScript the page reloads itself until the photo is ready, and then stops."""
    with chromium.new_context(base_url=system.url, java_script_enabled=False) as context:
        page = context.new_page()
        order(page, SLOW)
        page.locator("#job a.print img").wait_for(timeout=PATIENCE)
        assert page.locator("meta[http-equiv=refresh]").count() == 0
        page.get_by_text("Settings", exact=True).click()
        expect(page.locator("#settings")).to_contain_text(SLOW)
        expect(page.get_by_role("button", name="Copy settings")).to_be_hidden()
