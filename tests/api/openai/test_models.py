"""The models as OpenAI's clients look at them, one and all."""

import httpx2
import pytest

from services.common.catalogue.catalogue import Catalogue
from tests.support.api_keys import LINES, bearer

pytestmark = pytest.mark.anyio


async def test_one_model(client: httpx2.AsyncClient, catalogue: Catalogue) -> None:
    """Each model of the list can be looked at alone, and is the same there."""
    listed = (await client.get("/v1/models")).json()["data"]
    assert [model["id"] for model in listed] == list(catalogue.models)
    for model in listed:
        answer = await client.get(f"/v1/models/{model['id']}")
        assert answer.json() == model
        again = await client.get(f"/v1/models/{model['id']}", headers={"If-None-Match": answer.headers["ETag"]})
        assert again.status_code == 304


async def test_model_by_its_alias(client: httpx2.AsyncClient, state: dict[str, object], catalogue: Catalogue) -> None:
    """A client that knows a model by an alias finds it by that name."""
    model = catalogue.default_model.model_copy(update={"aliases": ("DALL-E 3",)})
    state["catalogue"] = catalogue.model_copy(update={"models": {**catalogue.models, model.name: model}})
    assert (await client.get("/v1/models/DALL-E 3")).json()["id"] == model.name


@pytest.mark.parametrize("name", ["gpt-image-1", "Studio-Tiny", "x" * 5000, "%E9%00"])
async def test_unknown_model(client: httpx2.AsyncClient, catalogue: Catalogue, name: str) -> None:
    """A model that is not on offer is OpenAI's `model_not_found`, and names those there are."""
    answer = await client.get(f"/v1/models/{name}")

    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["param"]) == (404, "model_not_found", "model")
    assert error["type"] == "invalid_request_error"
    assert all(offered in error["message"] for offered in catalogue.models)
    assert len(answer.content) < 2000


@pytest.mark.parametrize("settings", [{"keys": LINES}], indirect=True)
async def test_key_is_needed(client: httpx2.AsyncClient) -> None:
    """With keys a model is shown to callers with a key only, like the list."""
    statuses = [
        (await client.get("/v1/models/studio-tiny", headers=headers)).status_code for headers in ({}, bearer("alice"))
    ]
    assert statuses == [401, 200]
