"""/openapi.json and /docs: the reference of the API, for programs and for people."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.api.auth.keys import KeyRing
from services.api.http.base_path import own_url
from services.api.http.conditional import conditional_json
from services.api.http.endpoint import Endpoint
from services.api.http.state import AppState
from services.api.pages.page_errors import with_error_pages
from services.api.pages.page_templates import PageTemplates
from services.api.reference.examples import curl_example, python_example
from services.api.reference.schema_words import Member, members
from services.common.catalogue.catalogue import Catalogue
from services.common.settings import Settings

_JSON: Final = "application/json"


def reference_routes(
    table: Sequence[Endpoint], catalogue: Catalogue, settings: Settings, templates: PageTemplates
) -> list[BaseRoute]:
    """Return both routes. Their content is made at the first request, in a thread: it would hold up every start."""
    keys = KeyRing.of(settings) is not None
    making = asyncio.Lock()
    made: list[tuple[bytes, dict[str, Any]]] = []

    async def reference() -> tuple[bytes, dict[str, Any]]:
        async with making:
            if not made:
                default = settings.model or catalogue.default_model.name
                made.append(await asyncio.to_thread(_made, table, catalogue, default, keys=keys))
        return made[0]

    async def openapi(request: Request[AppState]) -> Response:
        content, _ = await reference()
        return conditional_json(request, content, {"Cache-Control": "public, no-cache"})

    async def docs(request: Request[AppState]) -> Response:
        base = own_url(request)
        elsewhere = settings.public_url is None and request.headers.get("host") != urlsplit(base).netloc
        _, shown = await reference()
        return templates.page("docs.html", base=base, elsewhere=elsewhere, **shown)

    page = with_error_pages(templates, docs)
    return [Route("/openapi.json", openapi, methods=["GET"]), Route("/docs", page, methods=["GET"])]


def _made(table: Sequence[Endpoint], catalogue: Catalogue, default: str, *, keys: bool) -> tuple[bytes, dict[str, Any]]:
    """Return the document, and what the page shows of it.

    Raises KeyError for a header, parameter or problem of the table without a description.
    """
    from services.api.reference.openapi import openapi_document

    document = openapi_document(table, catalogue, default, keys=keys)
    schemas = document["components"]["schemas"]
    shown = {
        "about": document["info"]["description"],
        "keys": keys,
        "operations": [_operation(endpoint, document, keys=keys) for endpoint in table],
        "schemas": {name: {**schema, "members": members(schema)} for name, schema in schemas.items()},
    }
    return json.dumps(document).encode(), shown


def _operation(endpoint: Endpoint, document: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    operation = document["paths"][endpoint.path][endpoint.method.lower()]
    inputs = [(each["in"], _input(each)) for each in operation.get("parameters", [])]
    content = operation.get("requestBody", {}).get("content", {})
    return {
        **operation,
        "method": endpoint.method,
        "path": endpoint.path,
        "inputs": inputs,
        "body": None if endpoint.body is None else content[_JSON]["schema"]["$ref"].rpartition("/")[2],
        "taken": [] if endpoint.upload is None else list(content),
        "answers": [(status, response, _view(response)) for status, response in operation["responses"].items()],
        "example": None if endpoint.body is None else json.dumps(dict(endpoint.body.example), indent=2),
        "curl": curl_example(endpoint, keys=keys),
        "python": python_example(endpoint, keys=keys),
    }


def _input(parameter: dict[str, Any]) -> Member:
    schema = {**parameter["schema"], "description": parameter.get("description", "")}
    return Member.of(parameter["name"], schema, required=parameter["required"])


def _view(response: dict[str, Any]) -> str | None:
    """Return the name of the body's schema, None for a file or an empty body."""
    schema: dict[str, Any] = next((media.get("schema", {}) for media in response.get("content", {}).values()), {})
    reference = schema.get("$ref") or schema.get("allOf", [{}])[0].get("$ref", "")
    return reference.rpartition("/")[2] or None
