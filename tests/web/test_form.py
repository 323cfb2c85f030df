"""The first page's form, as a browser without JavaScript sends it."""

import httpx2
import pytest

from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue
from tests.support.fakes import FakeWorker
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id, submit

pytestmark = pytest.mark.anyio


async def test_form_becomes_a_job(browser: httpx2.AsyncClient, backends: Backends) -> None:
    """The job has the parameters chosen in the form, in the types that the model takes."""
    path = await submit(browser, style="macro", size="160x112", count="3", steps="4", guidance="2.5", seed="7")
    params = (await backends.statuses.get(job_id(path))).message.params
    assert params == {
        "prompt": "matte black coffee grinder",
        "style": "macro",
        "width": 160,
        "height": 112,
        "num_images": 3,
        "steps": 4,
        "guidance": 2.5,
        "seed": 7,
    }


async def test_untouched_form_takes_the_models_defaults(browser: httpx2.AsyncClient, backends: Backends) -> None:
    """Only the product has to be typed: the rest are the model's defaults and a random seed."""
    params = (await backends.statuses.get(job_id(await submit(browser)))).message.params
    assert (params["width"], params["height"], params["steps"], params["guidance"]) == (128, 128, 8, 2.0)
    assert isinstance(params["seed"], int)


async def test_every_size_on_offer_is_one_the_model_draws(browser: httpx2.AsyncClient) -> None:
    """The model accepts every size that the form offers."""
    sizes = [radio["value"] for radio in Page((await browser.get("/")).text).all("input", name="size")]
    assert len(set(sizes)) == 3
    for size in sizes:
        await submit(browser, size=size)


async def test_style_cards_are_the_catalogues(browser: httpx2.AsyncClient, catalogue: Catalogue) -> None:
    """Every look has a card with an image of a few kilobytes, and one more card is for no look."""
    page = Page((await browser.get("/")).text)
    assert [radio["value"] for radio in page.all("input", name="style")] == [*catalogue.styles, ""]
    images = [image["src"] for image in page.all("img")]
    for style, image in zip(catalogue.styles.values(), images, strict=True):
        assert style.title in page.text
        assert f"/{style.name}.webp?" in image
        shown = await browser.get(image)
        assert (shown.status_code, shown.headers["Content-Type"]) == (200, "image/webp")
        assert len(shown.content) < 10_000


@pytest.mark.parametrize(
    ("field", "typed", "told"),
    [
        ("prompt", "", "Say what to photograph"),
        ("prompt", " \u200b ", "Say what to photograph"),
        ("prompt", "x" * 1001, "at most 1000 fit"),
        ("steps", "51", "Enter a whole number from 1 to 50."),
        ("steps", "1.5", "Enter a whole number from 1 to 50."),
        ("seed", "-1", "Enter a whole number from 0 to 4294967295."),
        ("seed", "1_0", "Enter a whole number from 0 to 4294967295."),
        ("guidance", "nan", "Enter a number from 0 to 30."),
        ("guidance", "lots", "Enter a number from 0 to 30."),
        ("count", "5", "Choose 1 to 4 photos."),
        ("size", "1024x1024", "makes photos of 96 to 192 pixels a side"),
        ("size", "0x0", "makes photos of 96 to 192 pixels a side"),
        ("style", "nope", "This look is not offered any more"),
        ("reproducibility", "nope", "This choice is not offered any more"),
        ("negative_prompt", "y" * 1001, "This is 1001 characters long; at most 1000 fit."),
    ],
)
async def test_wrong_field_is_told_beside_it(
    browser: httpx2.AsyncClient, backends: Backends, field: str, typed: str, told: str
) -> None:
    """A fault is answered 422 with a sentence at its field; the form stays filled in, and no job is made."""
    data = {"prompt": "tea pot", "negative_prompt": "people", "style": "macro", "size": "128x128", "seed": "9"}
    answer = await browser.post("/", data={**data, field: typed})
    page = Page(answer.text)
    assert answer.status_code == 422
    assert told in page.text
    page.one("p", id=f"{field}-fault")
    assert any(found.get("aria-describedby") == f"{field}-fault" for _, found in page.elements)
    kept = {name: value for name, value in {**data, field: typed.strip()}.items() if name not in (field, "size")}
    assert kept.items() <= page.fields().items()
    assert await backends.statuses.list() == []


async def test_double_click_makes_one_job(browser: httpx2.AsyncClient, backends: Backends) -> None:
    """The same form sent twice makes one job; a changed form makes another."""
    fields = {**Page((await browser.get("/")).text).fields(), "prompt": "tea pot"}
    first, second = [(await browser.post("/", data=fields)).headers["Location"] for _ in range(2)]
    third = (await browser.post("/", data={**fields, "prompt": "tea cup"})).headers["Location"]
    assert first == second != third
    assert len(await backends.statuses.list()) == 2


async def test_edit_fills_the_form_in(browser: httpx2.AsyncClient, worker: FakeWorker) -> None:
    """The edit link of a photo leads to a form with the job's words and that photo's seed."""
    path = await submit(browser, style="macro", size="96x128", negative_prompt="people", seed="8")
    await worker.succeed(job_id(path), b"one", b"two")
    links = [link["href"] for link in Page((await browser.get(path)).text).all("a") if "seed=1" in link["href"]]
    form = Page((await browser.get(links[0])).text)
    wanted = {"prompt": "matte black coffee grinder", "style": "macro", "size": "96x128", "seed": "1"}
    assert {**wanted, "negative_prompt": "people", "steps": "8", "guidance": "2"}.items() <= form.fields().items()
    assert "open" in form.one("details")


@pytest.mark.parametrize("settings", [{"queue_limit": 1}], indirect=True)
async def test_full_queue_keeps_what_was_typed(browser: httpx2.AsyncClient) -> None:
    """A full queue answers 503 with the form as it was filled in, and says when to try again."""
    await submit(browser)
    answer = await browser.post("/", data={"prompt": "tea pot", "style": "macro", "seed": "5"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "10")
    assert "The studio is full" in answer.text
    assert "Try again in about 10 seconds." in answer.text
    assert Page(answer.text).one("p", id="busy")["data-mood"] == "full"
    assert {"prompt": "tea pot", "style": "macro", "seed": "5"}.items() <= Page(answer.text).fields().items()


async def test_form_with_files_is_refused(browser: httpx2.AsyncClient) -> None:
    """A form with files in it is answered 400, as a page for people."""
    answer = await browser.post("/", files={"prompt": ("x.png", b"x")})
    assert (answer.status_code, "The form could not be read" in answer.text) == (400, True)
