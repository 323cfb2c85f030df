"""The OpenAPI document describes all routes for programs, and no others."""

import json
from typing import Any

import httpx2
import pytest
from starlette.routing import Route

from services.api.app import create_app
from services.api.pages.page_templates import load_page_templates
from services.api.pages.routes import page_routes
from services.common.catalogue.catalogue import Catalogue
from services.common.settings import Settings

pytestmark = pytest.mark.anyio

# The document and its page do not document themselves.
REFERENCE = {("GET", "/openapi.json"), ("GET", "/docs")}
# Objects whose members have no fixed names: a JSON Schema, a model's defaults, the broken limits of a fault, and what
# OpenAI's clients fill with null.
OPEN = {
    "/ModelView/properties/parameters",
    "/ModelView/properties/defaults",
    "/ModelView/properties/inputs",
    "/ModelView/properties/limits",
    "/FaultView/properties/allowed/anyOf/2",
    "/ImagesRequest",
    "/SpeechRequest",
}


def methods(routes: list[Any]) -> set[tuple[str, str]]:
    served = [route for route in routes if isinstance(route, Route)]
    return {(method, route.path) for route in served for method in (route.methods or set()) - {"HEAD"}}


async def test_every_route_is_an_operation(
    client: httpx2.AsyncClient, settings: Settings, catalogue: Catalogue
) -> None:
    """The document has exactly the routes that are served and are no pages for people."""
    document = (await client.get("/openapi.json")).json()
    served = methods(create_app(settings, catalogue).routes) - methods(page_routes(settings, load_page_templates()))
    documented = {(method.upper(), path) for path, item in document["paths"].items() for method in item}

    assert served - REFERENCE == documented


def closed(schema: Any, where: str) -> list[str]:
    """Return the paths in this schema of the objects that allow members it does not name."""
    if isinstance(schema, list):
        return [each for number, part in enumerate(schema) for each in closed(part, f"{where}/{number}")]
    if not isinstance(schema, dict):
        return []
    here = [where] if schema.get("type") == "object" and schema.get("additionalProperties") is not False else []
    return here + [each for name, part in schema.items() for each in closed(part, f"{where}/{name}")]


async def test_schemas_are_closed(client: httpx2.AsyncClient) -> None:
    """No body has room for a member the document does not name."""
    schemas = (await client.get("/openapi.json")).json()["components"]["schemas"]

    assert set(closed(schemas, "")) == OPEN


async def test_document_is_plain(client: httpx2.AsyncClient, catalogue: Catalogue) -> None:
    """Every reference has a target, every operation has a description, and the models are this catalogue's."""
    text = (await client.get("/openapi.json")).text
    document = json.loads(text)
    operations = [operation for item in document["paths"].values() for operation in item.values()]

    assert document["openapi"].startswith("3.1.")
    names = [part.partition('"')[0] for part in text.split('"#/components/schemas/')[1:]]
    assert set(names) <= set(document["components"]["schemas"])
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] and operation["description"] for operation in operations)
    assert {f"JobRequest.{name}" for name in catalogue.models} <= set(names)


async def test_unchanged_document_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    """The document has an ETag, so asking again costs no body."""
    first = await client.get("/openapi.json")

    second = await client.get("/openapi.json", headers={"If-None-Match": first.headers["ETag"]})

    assert (second.status_code, second.content) == (304, b"")
