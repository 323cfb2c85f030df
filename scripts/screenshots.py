"""`just screenshots` starts the system, makes photos as a visitor does, and takes screenshots into docs/img.

Each page is taken at 1280 and at 390 pixels, light and dark; the documentation shows some of them.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, StorageState, ViewportSize, sync_playwright

from tests.support.system import ROOT, running_system

WIDTHS = {"": 1280, "-phone": 390}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
# Product, look and number of photos; the page of the last order is shown.
ORDERS = (
    ("blue bottle", "Stone and moss", 1),
    ("turquoise vase", "Pastel pop", 1),
    ("orange bell pepper", "Macro", 4),
    ("purple perfume flask", "Neon tech", 1),
    ("white cup", "Sky blue", 1),
    ("yellow lamp", "Flat lay", 1),
    ("green teapot", "Warm kitchen", 1),
    ("red mug", "White cyclorama", 1),
)
TIMEOUT = 60_000  # milliseconds


def main() -> int:
    chromium = shutil.which("chromium")
    if chromium is None:
        print("chromium is missing; install it with `apt-get install chromium`", file=sys.stderr)
        return 1
    images = ROOT / "docs" / "img"
    images.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        running_system(Path(folder), {}, ROOT / "models" / "models.toml") as system,
        sync_playwright() as playwright,
    ):
        system.start_gateway()
        system.start_worker()
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        with browser.new_context(base_url=system.url) as context:
            page = context.new_page()
            jobs = [_ordered(page, *order) for order in ORDERS]
            visitor = context.storage_state()
        pages = {"home": "/", "job": jobs[-1], "history": "/history"}
        for name, path in pages.items():
            _shoot(browser, visitor, f"{system.url}{path}", images / name)
        browser.close()
    return 0


def _ordered(page: Page, product: str, look: str, count: int) -> str:
    """Order the photos, wait for them, and return the path of the job's page."""
    page.goto("/")
    page.get_by_label("What are we photographing?").fill(product)
    page.get_by_role("radio", name=look).check()
    page.get_by_role("group", name="Photos").get_by_label(str(count)).check()
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("/jobs/"))
    page.locator("#job[data-state=succeeded]").wait_for(timeout=TIMEOUT)
    return "/jobs/" + page.url.rpartition("/")[2]


def _shoot(browser: Browser, visitor: StorageState, url: str, name: Path) -> None:
    for suffix, width in WIDTHS.items():
        for scheme in ("light", "dark"):
            size: ViewportSize = {"width": width, "height": 800 if width > 800 else 844}
            page = browser.new_page(viewport=size, color_scheme=scheme, storage_state=visitor)
            page.goto(url, wait_until="networkidle")
            page.screenshot(path=f"{name}{suffix}{'-dark' if scheme == 'dark' else ''}.png")
            page.close()


if __name__ == "__main__":
    sys.exit(main())
