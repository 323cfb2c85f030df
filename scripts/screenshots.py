"""`just screenshots`: starts the system, makes a photo, and takes pictures of the pages into docs/img.

Each page at 1280 and at 390 pixels, light and dark; home.png and job.png are the ones the documentation shows.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from tests.system import ROOT, running_system

WIDTHS = {"": 1280, "-phone": 390}
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


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
    ):
        system.start_gateway()
        system.start_worker()
        job = system.wait(system.submit("matte black coffee grinder", style="white-cyclorama", num_images=2)["id"])
        pages = {"home": "/", "job": f"/jobs/{job['id']}"}
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            for name, path in pages.items():
                _shoot(browser, f"{system.url}{path}", images / name)
            browser.close()
    return 0


def _shoot(browser: Browser, url: str, name: Path) -> None:
    for suffix, width in WIDTHS.items():
        for scheme in ("light", "dark"):
            page = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            page.goto(url, wait_until="networkidle")
            dark = "-dark" if scheme == "dark" else ""
            page.screenshot(path=f"{name}{suffix}{dark}.png", full_page=True)
            page.close()


if __name__ == "__main__":
    sys.exit(main())
