"""A file handed over in a real browser, with a real gateway and worker behind it."""

import io
from collections.abc import Iterator
from typing import Literal

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.support.models.scripted_edit_adapter import CATALOGUE
from tests.support.system import System, running_system
from tests.support.web.browser import expect_state
from tests.web.test_accessibility import faults

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

READER = """
[models.reader]
title = "Reader"
modality = "tts"
adapter = "of.nobody:Adapter"
source = "."
"""
HAND_OVER = """async ([kind, colour]) => {
    const canvas = new OffscreenCanvas(40, 30), context = canvas.getContext("2d");
    context.fillStyle = colour;
    context.fillRect(0, 0, 40, 30);
    const transfer = new DataTransfer();
    transfer.items.add(new File([await canvas.convertToBlob()], `${colour}.png`, { type: "image/png" }));
    const event = kind === "paste"
        ? new ClipboardEvent(kind, { clipboardData: transfer, bubbles: true })
        : new DragEvent(kind, { dataTransfer: transfer, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event);
}"""


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Start gateway and worker with a model that begins with a picture."""
    folder = tmp_path_factory.mktemp("system")
    catalogue = folder / "models.toml"
    catalogue.write_text(CATALOGUE.format(name="retoucher", calls=folder / "calls.txt", seconds=0) + READER)
    with running_system(folder, {}, catalogue) as running:
        running.start_gateway()
        running.start_worker()
        yield running


def test_file_is_dropped_pasted_and_chosen(page: Page) -> None:
    """A picture that is dropped or pasted anywhere is chosen and shown; the one chosen last makes the photo."""
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "firebrick").save(content, "JPEG")
    page.goto("/")
    shown = page.locator("[data-shown] img")
    page.evaluate(HAND_OVER, ["drop", "red"])
    expect(shown).to_have_attribute("alt", "red.png")
    page.evaluate(HAND_OVER, ["paste", "blue"])
    expect(shown).to_have_attribute("alt", "blue.png")
    page.locator("#image").set_input_files({"name": "cup.jpg", "mimeType": "image/jpeg", "buffer": content.getvalue()})
    expect(shown).to_have_attribute("alt", "cup.jpg")
    page.locator("#prompt").fill("mug")
    page.get_by_role("button", name="Take the photo").click()
    expect_state(page, "succeeded")
    expect(page.locator(".facts .given")).to_be_visible()
    assert page.locator(".facts .given").evaluate("image => image.naturalWidth") == 40


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_fault(chromium: Browser, system: System, theme: Literal["light", "dark"]) -> None:
    """The form of a file, empty and refused, and that of words to say have no serious fault by axe-core's rules."""
    with chromium.new_context(base_url=system.url, color_scheme=theme, reduced_motion="reduce") as context:
        page = context.new_page()
        page.goto("/")
        assert faults(page) == []
        page.locator("#prompt").fill("mug")
        page.get_by_role("button", name="Take the photo").click()
        expect(page.locator("#image-fault")).to_be_visible()
        assert faults(page) == []
        page.goto("/?model=reader")
        expect(page.get_by_role("heading", level=1)).to_have_text("What shall we say?")
        assert faults(page) == []
