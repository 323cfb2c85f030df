"""/openapi.json and /docs: what the table of endpoints says, for programs and for people."""

import json

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from services.api.conditional import conditional_json
from services.api.endpoint import Endpoint
from services.api.openapi import openapi_document
from services.api.state import AppState
from services.common.catalogue import Catalogue
from services.common.settings import Settings


def reference_routes(table: list[Endpoint], catalogue: Catalogue, settings: Settings) -> list[BaseRoute]:
    """Raises KeyError for a header, parameter or problem that the table names and nobody describes."""
    document = openapi_document(table, catalogue, settings.model or catalogue.default_model.name)
    content = json.dumps(document).encode()

    async def openapi(request: Request[AppState]) -> Response:
        return conditional_json(request, content, {"Cache-Control": "public, no-cache"})

    return [Route("/openapi.json", openapi, methods=["GET"])]
