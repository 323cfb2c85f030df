"""The bodies of requests in the OpenAPI document: JSON, or a file."""

from collections.abc import Mapping
from typing import Any, Final

from openapi_pydantic import MediaType, RequestBody, Schema

from services.api.http.endpoint import Endpoint, JsonSchema, Upload
from services.common.catalogue.catalogue import Catalogue

REF: Final = "#/components/schemas/"
JSON: Final = "application/json"
_FORM: Final = "multipart/form-data"


def request_body(endpoint: Endpoint, catalogue: Catalogue, default: str) -> RequestBody | None:
    """Return the body of the endpoint's requests; None where they have none."""
    if endpoint.upload is not None:
        return _file(endpoint.upload, catalogue, default)
    if endpoint.body is None:
        return None
    name = next(iter(endpoint.body.schemas(catalogue, default)))
    media = MediaType(schema=component(name), example=dict(endpoint.body.example))
    return RequestBody(required=True, content={JSON: media})


def _file(upload: Upload, catalogue: Catalogue, default: str) -> RequestBody:
    """Return the file in a form, or alone; bytes have no schema in OpenAPI 3.1."""
    more = upload.fields(catalogue, default) if upload.fields else {}
    file = {upload.field: {"type": "string", "contentMediaType": "application/octet-stream"}}
    form: JsonSchema = {
        **more,
        "type": "object",
        "properties": {**file, **more.get("properties", {})},
        "required": [upload.field, *more.get("required", ())],
        "additionalProperties": False,
    }
    alone = {name: MediaType() for name in upload.media_types}
    return RequestBody(required=True, content={_FORM: MediaType(schema=schema_of(form)), **alone})


def component(name: str) -> Schema:
    """Return a reference to this schema of the document."""
    return schema_of({"$ref": REF + name})


def schema_of(schema: Mapping[str, Any]) -> Schema:
    return Schema.model_validate(schema)
