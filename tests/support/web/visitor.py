"""Orders a photo by the form, as a visitor does before the test begins."""

import httpx2

from tests.support.web.html_page import Page


async def submit(browser: httpx2.AsyncClient, **changes: str) -> str:
    """Submit the form and return the path of the new job's page."""
    fields = Page((await browser.get("/")).text).fields()
    answer = await browser.post("/", data={**fields, "prompt": "matte black coffee grinder", **changes})
    assert answer.status_code == 303, answer.text
    path: str = answer.headers["Location"]
    return path


def job_id(path: str) -> str:
    return path.rpartition("/")[2]
