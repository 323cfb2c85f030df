"""The details of the form come from the JSON Schema of the model's parameters, so a new model needs no template."""

import httpx2
import pytest

from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue, Model
from services.common.params import Modality
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id

pytestmark = pytest.mark.anyio


def _model(name: str, modality: Modality, **entry: object) -> Model:
    known = {"name": name, "title": name, "modality": modality, "adapter": "none", "source": "."}
    return Model.model_validate({**known, **entry})


@pytest.fixture(scope="module")
def catalogue(catalogue: Catalogue) -> Catalogue:
    """A catalogue with models of three modalities beside the one that ships."""
    models = [
        catalogue.default_model,
        _model("film", Modality.TXT2VIDEO, defaults={"frames": 25, "steps": 4}, limits={"max_steps": 6}),
        _model("poet", Modality.TXT2TXT, notes="It rhymes."),
        _model("retoucher", Modality.IMG2IMG),
    ]
    return Catalogue(models={model.name: model for model in models}, styles=catalogue.styles)


async def form_of(browser: httpx2.AsyncClient, model: str) -> Page:
    return Page((await browser.get("/", params={"model": model})).text)


async def test_fields_are_the_models_own(browser: httpx2.AsyncClient) -> None:
    """Each parameter has a field of its type, with this model's range and default."""
    film = await form_of(browser, "film")
    steps, fps = film.one("input", id="steps"), film.one("input", id="fps")
    assert (steps["type"], steps["min"], steps["max"], steps["placeholder"]) == ("number", "1", "6", "4")
    assert (fps["max"], fps["placeholder"]) == ("60", "16")
    assert film.one("input", id="frames")["placeholder"] == "25"
    assert film.one("input", id="guidance")["step"] == "any"
    assert [option["value"] for option in film.all("option") if "value" in option] == [""]
    assert "Frames a second" in film.text
    assert "How fast it plays. 1 to 60." in film.text
    assert film.one("label", **{"for": "fps"})
    assert film.one("p", id=fps["aria-describedby"])


async def test_first_screen_has_only_what_the_model_takes(browser: httpx2.AsyncClient) -> None:
    """A text model has no looks, shapes or counts, and shows its notes."""
    poet = await form_of(browser, "poet")
    assert {name for name in poet.fields() if name} == {
        "token",
        "model",
        "product",
        "seed",
        "max_tokens",
        "temperature",
    }
    assert poet.one("input", id="product")["maxlength"] == "32000"
    assert "It rhymes." in poet.text


async def test_new_models_form_makes_its_job(browser: httpx2.AsyncClient, backends: Backends) -> None:
    """Filled-in fields reach the job in the type that the schema asks for; empty fields do not reach it."""
    sent = {**(await form_of(browser, "poet")).fields(), "product": "an ode", "max_tokens": "9", "temperature": "0.5"}
    path = (await browser.post("/", data=sent)).headers["Location"]
    message = (await backends.statuses.get(job_id(path))).message
    assert message.model == "poet"
    assert isinstance(message.params.pop("seed"), int)
    assert message.params == {"prompt": "an ode", "max_tokens": 9, "temperature": 0.5}
    edited = (await browser.get(f"/?from={job_id(path)}&seed=")).text
    assert {"product": "an ode", "max_tokens": "9"}.items() <= Page(edited).fields().items()


async def test_refused_detail_is_told_in_its_own_range(browser: httpx2.AsyncClient) -> None:
    """The sentence beside a wrong field names this model's range."""
    sent = {**(await form_of(browser, "film")).fields(), "product": "a mug"}
    for name, typed, told in (("steps", "7", "1 to 6"), ("fps", "61", "1 to 60")):
        page = Page((await browser.post("/", data={**sent, name: typed})).text)
        assert f"Enter a whole number from {told}." in page.text


async def test_model_that_needs_a_file_has_no_form(browser: httpx2.AsyncClient) -> None:
    """A model that needs more than words is not offered: the form stays with the default model."""
    assert (await form_of(browser, "retoucher")).fields()["model"] == "studio-tiny"


async def test_schema_is_narrowed_for_programs_too(browser: httpx2.AsyncClient) -> None:
    """/v1/models serves the schema that the form is built from, with the model's limits, defaults and looks."""
    models = {model["id"]: model for model in (await browser.get("/v1/models")).json()["data"]}
    properties = models["studio-tiny"]["parameters"]["properties"]
    width = properties["width"]["anyOf"][0]
    assert (width["minimum"], width["maximum"], width["multipleOf"]) == (96, 192, 16)
    assert (properties["steps"]["anyOf"][0]["maximum"], properties["steps"]["default"]) == (50, 8)
    assert "macro" in properties["style"]["anyOf"][0]["enum"]
    assert models["film"]["parameters"]["properties"]["steps"]["anyOf"][0]["maximum"] == 6
