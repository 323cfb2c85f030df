"""The defaults of a catalogue entry, as the API and the page take them."""

from typing import Final

import httpx2
import pytest

from services.common.backends import Backends
from services.common.catalogue.catalogue import Catalogue, Model

DEFAULTS: Final[dict[str, dict[str, object]]] = {
    "sketcher": {"num_images": 2, "guidance": 1, "steps": 4, "width": 128},
    "reader": {"speed": 2, "voice": "ada", "seed": 7},
    "looks": {"num_images": 3, "style": "macro", "negative_prompt": "dust", "reproducibility": "strict"},
}
MODALITIES: Final = {"sketcher": "txt2img", "reader": "tts", "looks": "txt2img"}

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def catalogue(catalogue: Catalogue) -> Catalogue:
    """A catalogue whose entries have defaults for parameters that their modality has a default for."""
    models = [catalogue.default_model]
    for name, defaults in DEFAULTS.items():
        entry = {"name": name, "title": name, "modality": MODALITIES[name], "adapter": "none", "source": "."}
        models.append(Model.model_validate({**entry, "defaults": defaults}))
    return Catalogue(models={model.name: model for model in models}, styles=catalogue.styles)


@pytest.mark.parametrize("name", DEFAULTS)
async def test_defaults_are_used(client: httpx2.AsyncClient, backends: Backends, name: str) -> None:
    """A job that leaves parameters out has the entry's defaults, which are those that the schema shows."""
    subject = "text" if name == "reader" else "prompt"
    submitted = await client.post("/v1/jobs", json={"model": name, subject: "red mug"})
    shown = {model["id"]: model for model in (await client.get("/v1/models")).json()["data"]}[name]

    params = (await backends.statuses.get(submitted.json()["id"])).message.params
    assert DEFAULTS[name].items() <= params.items()
    properties = shown["parameters"]["properties"]
    assert {key: properties[key]["default"] for key in DEFAULTS[name]} == DEFAULTS[name]


async def test_given_goes_before(client: httpx2.AsyncClient, backends: Backends) -> None:
    """A value that a request gives is used, also where it is the modality's own default."""
    given = {"speed": 1.0, "voice": "bea"}
    submitted = await client.post("/v1/jobs", json={"model": "reader", "text": "red mug", **given})
    params = (await backends.statuses.get(submitted.json()["id"])).message.params
    assert given.items() <= params.items()


@pytest.mark.parametrize("name", DEFAULTS)
async def test_page_shows_them(client: httpx2.AsyncClient, name: str) -> None:
    """The page has a form for a model with such defaults."""
    assert (await client.get("/", params={"model": name}, headers={"Accept": "text/html"})).status_code == 200
