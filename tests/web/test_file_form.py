"""A form with a file, as a browser without JavaScript sends it."""

import io

import httpx2
import pytest
from PIL import Image

from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue, Model
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id

PATH = "/with-files"

pytestmark = pytest.mark.anyio


def _picture() -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), "firebrick").save(content, "JPEG")
    return content.getvalue()


@pytest.fixture(scope="module")
def catalogue(catalogue: Catalogue) -> Catalogue:
    """A catalogue with a model that begins with a picture."""
    entry = {"name": "retoucher", "title": "Retoucher", "modality": "img2img", "adapter": "none", "source": "."}
    return catalogue.model_copy(update={"models": {**catalogue.models, "retoucher": Model.model_validate(entry)}})


async def send(
    browser: httpx2.AsyncClient, content: bytes | None, field: str = "image-file", **changes: str
) -> httpx2.Response:
    """Send the model's form with a file; None leaves the field empty, as browsers do."""
    fields = Page((await browser.get("/?model=retoucher")).text).fields()
    sent = {name: value for name, value in fields.items() if name and not name.startswith("image-")}
    file = ("cup.jpg", content, "image/jpeg") if content is not None else ("", b"", "application/octet-stream")
    return await browser.post(PATH, data={**sent, "prompt": "a mug", **changes}, files={field: file})


@pytest.mark.parametrize("field", ["image-file", "image-camera"])
async def test_file_becomes_the_jobs_input(browser: httpx2.AsyncClient, backends: Backends, field: str) -> None:
    """A chosen picture and one from the camera are taken in, stored under the visitor, and named by the job."""
    answer = await send(browser, _picture(), field)
    assert answer.status_code == 303, answer.text
    message = (await backends.statuses.get(job_id(answer.headers["Location"]))).message
    assert (message.inputs["image"].width, message.inputs["image"].height) == (40, 30)
    page = Page((await browser.get(answer.headers["Location"])).text)
    kept = page.one("img", **{"class": "given"})["src"]
    assert kept == f"/v1/inputs/{message.params['image']}/file"
    assert (await browser.get(kept)).headers["Content-Type"] == "image/jpeg"


async def test_file_is_kept_when_a_text_is_wrong(browser: httpx2.AsyncClient, backends: Backends) -> None:
    """A form with a fault keeps its picture and shows it; sent again without a file it makes the job."""
    answer = await send(browser, _picture(), steps="9999")
    form = Page(answer.text)
    kept = form.one("input", name="image")["value"]
    assert answer.status_code == 422
    assert "Enter a whole number from 1 to 150." in form.text
    assert any(image.get("src") == f"/v1/inputs/{kept}/file" for image in form.all("img"))
    again = await send(browser, None, image=str(kept))
    assert again.status_code == 303, again.text
    assert (await backends.statuses.get(job_id(again.headers["Location"]))).message.params["image"] == kept


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "Choose a picture, or take one."),
        (b"%PDF-1.7 no picture", "PDF"),
        (_picture()[:200], "cut off"),
    ],
    ids=["none", "another kind", "cut off"],
)
async def test_wrong_file_is_told_beside_its_field(
    browser: httpx2.AsyncClient, backends: Backends, content: bytes | None, told: str
) -> None:
    """A file that cannot be used, or none, is answered 422 with a sentence at the field; what was typed stays."""
    answer = await send(browser, content, negative_prompt="dust")
    form = Page(answer.text)
    assert answer.status_code == 422
    assert form.one("p", id="image-fault")
    assert told in form.text
    assert {"prompt": "a mug", "negative_prompt": "dust"}.items() <= form.fields().items()
    assert await backends.statuses.list() == []


async def test_edit_and_retry_keep_the_file(browser: httpx2.AsyncClient, backends: Backends) -> None:
    """The form of an edited job has its picture, and the same again is made from it."""
    path = (await send(browser, _picture())).headers["Location"]
    kept = (await backends.statuses.get(job_id(path))).message.params["image"]
    edited = Page((await browser.get(f"/?from={job_id(path)}")).text)
    again = await browser.post(f"{path}/retry", data={"seed": "same", "token": "another-token"})
    assert edited.one("input", name="image")["value"] == kept
    assert (await backends.statuses.get(job_id(again.headers["Location"]))).message.params["image"] == kept


async def test_shape_is_the_pictures(browser: httpx2.AsyncClient, backends: Backends) -> None:
    """A model without a size of its own asks for none: sides can be typed among the details, and are left out else."""
    form = Page((await browser.get("/?model=retoucher")).text)
    plain, sized = await send(browser, _picture()), await send(browser, _picture(), width="128", height="96")
    made = [(await backends.statuses.get(job_id(each.headers["Location"]))).message.params for each in (plain, sized)]
    assert not form.all("input", name="size")
    assert "width" not in made[0]
    assert (made[1]["width"], made[1]["height"]) == (128, 96)


async def test_id_that_no_file_has_is_told(browser: httpx2.AsyncClient, backends: Backends) -> None:
    """A form that names a file which is gone is refused at its field."""
    answer = await send(browser, None, image="0190a1b2-0000-7000-8000-000000000000")
    assert (answer.status_code, "This file is gone. Choose it again." in answer.text) == (422, True)
    assert await backends.statuses.list() == []


@pytest.mark.parametrize("settings", [{"rate_limit": "2/minute"}], indirect=True)
async def test_files_count_as_submits(browser: httpx2.AsyncClient) -> None:
    """Each form with a file counts once for a visitor who is known, also one that makes no job."""
    await send(browser, _picture(), steps="9999")  # makes the visitor known
    codes = [(await send(browser, _picture(), steps=steps)).status_code for steps in ("9999", "4", "4")]
    assert codes == [422, 303, 429]


@pytest.mark.parametrize("settings", [{"max_input_bytes": 100_000}], indirect=True)
async def test_other_bodies_are_refused_as_pages(browser: httpx2.AsyncClient) -> None:
    """A form longer than a file may be, and one that has none, are refused as pages; a reload leads to the form."""
    longer = await send(browser, bytes(300_000))
    other = await browser.post(PATH, data={"prompt": "a mug"})
    typed = await browser.post(PATH, content=b"", headers={"Content-Type": f"multipart/form-data; {'a=b;' * 300}"})
    reloaded = await browser.get(PATH)
    assert (longer.status_code, "text/html" in longer.headers["Content-Type"]) == (413, True)
    assert (other.status_code, "text/html" in other.headers["Content-Type"]) == (400, True)
    assert typed.status_code == 400
    assert (reloaded.status_code, reloaded.headers["Location"]) == (303, "/")
