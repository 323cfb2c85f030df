"""The details of the form come from the JSON Schema of the model's parameters, so a new model needs no template."""

import httpx2
import pytest

from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue, Model
from tests.support.web.html_page import Page
from tests.support.web.visitor import job_id

pytestmark = pytest.mark.anyio


def _model(name: str, modality: str, **entry: object) -> Model:
    known = {"name": name, "title": name, "modality": modality, "adapter": "none", "source": "."}
    return Model.model_validate({**known, **entry})


@pytest.fixture(scope="module")
def catalogue(catalogue: Catalogue) -> Catalogue:
    """A catalogue with models of other modalities and limits beside the one that ships."""
    models = [
        catalogue.default_model,
        _model("sketcher", "txt2img", defaults={"steps": 4}, limits={"max_steps": 6}),
        _model("reader", "tts", notes="It rolls its r.", limits={"max_characters": 300}),
        _model("retoucher", "img2img"),
    ]
    return Catalogue(models={model.name: model for model in models}, styles=catalogue.styles)


async def form_of(browser: httpx2.AsyncClient, model: str) -> Page:
    return Page((await browser.get("/", params={"model": model})).text)


async def test_fields_are_the_models_own(browser: httpx2.AsyncClient) -> None:
    """Each parameter has a field of its type, with this model's range and default."""
    sketcher, reader = await form_of(browser, "sketcher"), await form_of(browser, "reader")
    steps, speed = sketcher.one("input", id="steps"), reader.one("input", id="speed")
    assert (steps["type"], steps["min"], steps["max"], steps["placeholder"]) == ("number", "1", "6", "4")
    assert (speed["min"], speed["max"], speed["placeholder"], speed["step"]) == ("0.25", "4", "1", "any")
    assert [option["value"] for option in reader.all("option") if "value" in option] == [""]
    assert "1 is a natural pace. 0.25 to 4." in reader.text
    assert reader.one("label", **{"for": "speed"})
    assert reader.one("p", id=speed["aria-describedby"])


async def test_first_screen_has_only_what_the_model_takes(browser: httpx2.AsyncClient) -> None:
    """A model of speech has no looks, shapes or counts, and shows its notes."""
    reader = await form_of(browser, "reader")
    assert {name for name in reader.fields() if name} == {"token", "model", "text", "seed", "voice", "speed"}
    assert reader.one("input", id="text")["maxlength"] == "300"
    assert "It rolls its r." in reader.text


async def test_new_models_form_makes_its_job(browser: httpx2.AsyncClient, backends: Backends) -> None:
    """Filled-in fields reach the job in the type that the schema asks for; empty fields do not reach it."""
    sent = {**(await form_of(browser, "reader")).fields(), "text": "an ode", "seed": "9", "speed": "0.5"}
    path = (await browser.post("/", data=sent)).headers["Location"]
    message = (await backends.statuses.get(job_id(path))).message
    assert message.model == "reader"
    assert message.params == {"text": "an ode", "seed": 9, "speed": 0.5}
    edited = (await browser.get(f"/?from={job_id(path)}&seed=")).text
    assert {"text": "an ode", "speed": "0.5"}.items() <= Page(edited).fields().items()


async def test_refused_detail_is_told_in_its_own_range(browser: httpx2.AsyncClient) -> None:
    """The sentence beside a wrong field names this model's range."""
    for model, name, typed, told in (("sketcher", "steps", "7", "1 to 6"), ("reader", "speed", "5", "0.25 to 4")):
        sent = {**(await form_of(browser, model)).fields(), "prompt": "a mug", "text": "a mug", name: typed}
        assert f"number from {told}." in Page((await browser.post("/", data=sent)).text).text


async def test_model_that_needs_a_file_has_a_field_for_it(browser: httpx2.AsyncClient) -> None:
    """A model that begins with a picture has a field for one, of that kind, in a form that can carry it."""
    form = await form_of(browser, "retoucher")
    assert form.fields()["model"] == "retoucher"
    assert form.one("input", id="image")["accept"] == "image/*"
    assert form.one("form", **{"class": "composer"})["enctype"] == "multipart/form-data"


async def test_schema_is_narrowed_for_programs_too(browser: httpx2.AsyncClient) -> None:
    """/v1/models serves the schema that the form is built from, with the model's limits, defaults and looks."""
    models = {model["id"]: model for model in (await browser.get("/v1/models")).json()["data"]}
    properties = models["studio-tiny"]["parameters"]["properties"]
    width = properties["width"]["anyOf"][0]
    assert (width["minimum"], width["maximum"], width["multipleOf"]) == (96, 192, 16)
    assert (properties["steps"]["anyOf"][0]["maximum"], properties["steps"]["default"]) == (50, 8)
    assert "macro" in properties["style"]["anyOf"][0]["enum"]
    assert models["sketcher"]["parameters"]["properties"]["steps"]["anyOf"][0]["maximum"] == 6
