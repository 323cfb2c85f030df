"""What OpenAI's route refuses before there is a job; the rest is in tests/e2e/test_openai.py."""

import httpx2
import pytest

from services.common.catalogue import Catalogue, Model
from services.common.params import Modality

pytestmark = pytest.mark.anyio


@pytest.fixture
def catalogue(catalogue: Catalogue) -> Catalogue:
    writer = Model(name="writer", title="Writer", modality=Modality.TXT2TXT, adapter="none", source=".")
    return catalogue.model_copy(update={"models": {**catalogue.models, "writer": writer}})


@pytest.mark.parametrize(
    ("settings", "named"), [({}, {"model": "writer"}), ({"model": "writer"}, {})], indirect=["settings"]
)
async def test_model_that_makes_no_images(client: httpx2.AsyncClient, named: dict[str, str]) -> None:
    """A model that writes text is refused, whether it is named or the one that requests without a name get."""
    answer = await client.post("/v1/images/generations", json={"prompt": "red mug", **named})
    assert answer.status_code == 422
    assert answer.json()["error"]["param"] == "model"
