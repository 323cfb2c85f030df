"""/v1/models and /v1/styles through HTTP."""

import httpx2
import pytest

from services.common.catalogue.catalogue import Catalogue

pytestmark = pytest.mark.anyio


async def test_models_are_listed_with_their_schema(client: httpx2.AsyncClient, catalogue: Catalogue) -> None:
    """Every model on offer is listed with defaults, limits and the JSON Schema of its parameters."""
    body = (await client.get("/v1/models")).json()

    models = {model["id"]: model for model in body["data"]}
    assert body["object"] == "list"
    assert set(models) == set(catalogue.models)
    assert [model["id"] for model in body["data"] if model["default"]] == [catalogue.default_model.name]
    for name, model in models.items():
        assert model["object"] == "model"
        assert model["modality"] == catalogue.models[name].modality
        assert model["limits"] == catalogue.models[name].limits.model_dump(mode="json")
        assert model["defaults"] == catalogue.models[name].defaults
        assert model["parameters"]["additionalProperties"] is False
        assert "source" not in model
    kinds = {name: (model["makes"], model["inputs"]) for name, model in models.items()}
    assert kinds["studio-tiny"] == ("image", {})
    assert kinds["studio-tiny-img2img"] == ("image", {"image": "image"})
    assert kinds["hibari"] == ("audio", {})
    assert kinds["whisper-tiny-en"] == ("text", {"audio": "audio"})
    assert models["studio-tiny"]["parameters"]["properties"]["prompt"]["maxLength"] == 1000


async def test_styles_are_listed(client: httpx2.AsyncClient, catalogue: Catalogue) -> None:
    """Every studio look is listed under the id a job names it by."""
    body = (await client.get("/v1/styles")).json()

    assert [style["id"] for style in body["data"]] == list(catalogue.styles)
    assert all("{product}" in style["template"] for style in body["data"])


async def test_unchanged_catalogue_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    """The catalogue has an ETag, so asking again costs no body."""
    first = await client.get("/v1/models")

    second = await client.get("/v1/models", headers={"If-None-Match": first.headers["ETag"]})

    assert (second.status_code, second.content) == (304, b"")
