"""/openapi.json and /docs: the reference of the API, for programs and for people."""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.api.auth.keys import KeyRing
from services.api.http.conditional import conditional_json
from services.api.http.endpoint import Endpoint
from services.api.http.state import AppState
from services.api.pages.page_errors import with_error_pages
from services.api.pages.page_templates import PageTemplates
from services.api.reference.examples import curl_example, python_example
from services.api.reference.openapi import openapi_document
from services.api.reference.schema_words import Member, members
from services.common.catalogue.catalogue import Catalogue
from services.common.network.addresses import http_url
from services.common.settings import Settings


def reference_routes(
    table: Sequence[Endpoint], catalogue: Catalogue, settings: Settings, templates: PageTemplates
) -> list[BaseRoute]:
    """Return both routes. Raises KeyError for a header, parameter or problem of the table without a description."""
    keys = KeyRing.of(settings) is not None
    document = openapi_document(table, catalogue, settings.model or catalogue.default_model.name, keys=keys)
    content = json.dumps(document).encode()
    schemas = document["components"]["schemas"]
    shown = {
        "about": document["info"]["description"],
        "keys": keys,
        "operations": [_operation(endpoint, document, keys=keys) for endpoint in table],
        "schemas": {name: {**schema, "members": members(schema)} for name, schema in schemas.items()},
    }

    async def openapi(request: Request[AppState]) -> Response:
        return conditional_json(request, content, {"Cache-Control": "public, no-cache"})

    async def docs(request: Request[AppState]) -> Response:
        host, port = request.scope["server"]  # the socket's own address: the Host header may say anything
        base = (settings.public_url or http_url(host, port)).rstrip("/")
        elsewhere = settings.public_url is None and request.headers.get("host") != urlsplit(base).netloc
        return templates.page("docs.html", base=base, elsewhere=elsewhere, **shown)

    page = with_error_pages(templates, docs)
    return [Route("/openapi.json", openapi, methods=["GET"]), Route("/docs", page, methods=["GET"])]


def _operation(endpoint: Endpoint, document: dict[str, Any], *, keys: bool) -> dict[str, Any]:
    operation = document["paths"][endpoint.path][endpoint.method.lower()]
    inputs = [(each["in"], _input(each)) for each in operation.get("parameters", [])]
    content = operation.get("requestBody", {}).get("content", {})
    return {
        **operation,
        "method": endpoint.method,
        "path": endpoint.path,
        "inputs": inputs,
        "body": next((media["schema"]["$ref"].rpartition("/")[2] for media in content.values()), None),
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
