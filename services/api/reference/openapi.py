"""The OpenAPI 3.1 document, made from the same table of endpoints as the routes."""

import inspect
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final

from openapi_pydantic import (
    Components,
    Header,
    Info,
    License,
    MediaType,
    OpenAPI,
    Operation,
    Parameter,
    PathItem,
    Response,
    SecurityScheme,
    Tag,
)
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from services.api.http.authorization import Access
from services.api.http.endpoint import Answer, Endpoint, JsonSchema
from services.api.http.headers import MOST_HEADERS, REQUEST_HEADERS, RESPONSE_HEADERS
from services.api.http.problem_views import ProblemView
from services.api.http.problems import KINDS, MEDIA_TYPE, Kind
from services.api.http.requests.json_body import MOST_VALUES
from services.api.http.requests.query import MOST_PARAMETERS
from services.api.reference.bodies import JSON, REF, component, request_body, schema_of
from services.common.catalogue.catalogue import Catalogue
from services.common.param_faults import FAULTS

_PATH_PARAMETERS: Final[Mapping[str, tuple[str, JsonSchema]]] = {
    "job_id": ("The job's id, a UUID of version 7.", {"type": "string", "format": "uuid"}),
    "model": ("The name of a model on offer.", {"type": "string", "pattern": "^[a-z0-9][a-z0-9.-]{0,62}$"}),
    "message_id": ("The dead letter's id.", {"type": "string", "pattern": "^[A-Za-z0-9._-]{1,128}$"}),
    "index": ("The artifact's number, counted from 0.", {"type": "integer", "minimum": 0}),
    "input_id": ("The input's id, a UUID of version 7.", {"type": "string", "format": "uuid"}),
    "code": ("The last part of a problem's `type`.", {"type": "string", "enum": sorted(KINDS)}),
}
_KEY: Final = "key"
_SCHEME: Final = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key, in the header and nowhere else. A gateway without keys needs none.",
}
_OF_ANY_REQUEST: Final = ("too-many-headers", "too-many-parameters", "internal-error")
_ABOUT: Final = (
    "Submit a job, poll it until it is over, then fetch its artifacts. `Retry-After` says when to look again. "
    "Refusals are problems of RFC 9457 with a stable `code`; OpenAI's routes have errors in OpenAI's shape. "
    f"A body holds {MOST_VALUES} values at most, a request {MOST_HEADERS} headers and its query {MOST_PARAMETERS} "
    f"parameters; a refusal tells {FAULTS} faults, and in `more_errors` how many more there are."
)


def openapi_document(
    endpoints: Sequence[Endpoint], catalogue: Catalogue, default: str, *, keys: bool = False
) -> dict[str, Any]:
    """Return the document as plain JSON.

    `default` is the model of requests that name none; with `keys` requests need a key.
    """
    by_path: dict[str, dict[str, Operation]] = defaultdict(dict)
    for endpoint in endpoints:
        by_path[endpoint.path][endpoint.method.lower()] = _operation(endpoint, catalogue, default, keys=keys)
    document = OpenAPI(
        openapi="3.1.1",
        info=Info(
            title="Studio",
            version=version("commercial-studio-photos-generator"),
            description=_ABOUT,
            license=License(name="MIT", identifier="MIT"),
        ),
        paths={path: PathItem(**operations) for path, operations in by_path.items()},
        components=Components(
            schemas=_components(endpoints, catalogue, default), securitySchemes={_KEY: SecurityScheme(**_SCHEME)}
        ),
        tags=[Tag(name=name) for name in dict.fromkeys(endpoint.tag for endpoint in endpoints)],
    )
    plain: dict[str, Any] = _whole(
        document.model_dump(mode="json", by_alias=True, exclude_none=True, exclude_unset=True)
    )
    return plain


def _operation(endpoint: Endpoint, catalogue: Catalogue, default: str, *, keys: bool) -> Operation:
    answers = {str(status): _response(answer) for status, answer in endpoint.answers.items()}
    return Operation(
        operationId=re.sub(r"[^a-z]+", "-", endpoint.summary.lower()),
        tags=[endpoint.tag],
        summary=endpoint.summary,
        description=inspect.getdoc(endpoint.handler),
        parameters=[*_parameters(endpoint)],
        requestBody=request_body(endpoint, catalogue, default),
        responses=dict(sorted({**_refusals(endpoint), **answers}.items())),
        security=[{_KEY: []}] if keys and endpoint.access is not Access.OPEN else [],
    )


def _parameters(endpoint: Endpoint) -> Iterable[Parameter]:
    for name in re.findall(r"{(\w+)}", endpoint.path):
        about, schema = _PATH_PARAMETERS[name]
        yield _parameter(name, "path", about, schema)
    if endpoint.query is not None:
        for name, schema in endpoint.query.model_json_schema()["properties"].items():
            given = _given(schema)
            yield _parameter(name, "query", given.pop("description", None), given)
    for name in endpoint.headers:
        field = REQUEST_HEADERS[name]
        yield _parameter(name, "header", field.description, field.schema)


def _parameter(name: str, where: str, about: str | None, schema: Mapping[str, Any]) -> Parameter:
    fields = {"name": name, "in": where, "description": about, "required": where == "path", "schema": dict(schema)}
    return Parameter.model_validate(fields)


def _given(schema: JsonSchema) -> JsonSchema:
    """Return the schema without null: a query parameter is left out or has a value."""
    parts = [part for part in schema.get("anyOf", []) if part != {"type": "null"}]
    return {key: value for key, value in {**schema, **(parts or [{}])[0]}.items() if key != "anyOf"}


def _response(answer: Answer) -> Response:
    headers = {name: _header(name, required=True) for name in answer.headers}
    headers |= {name: _header(name, required=False) for name in answer.sometimes}
    content = {name: MediaType() for name in answer.files}
    if answer.view is not None:
        example = None if answer.example is None else answer.example.model_dump(mode="json")
        content = {JSON: MediaType(schema=component(answer.view.__name__), example=example)}
    return Response(description=answer.description, headers=headers or None, content=content or None)


def _header(name: str, *, required: bool) -> Header:
    field = RESPONSE_HEADERS[name]
    return Header(description=field.description, required=required, param_schema=schema_of(dict(field.schema)))


def _refusals(endpoint: Endpoint) -> dict[str, Response]:
    by_status: dict[int, list[str]] = defaultdict(list)
    for code in [*endpoint.problems, *_access_problems(endpoint), *_OF_ANY_REQUEST]:
        by_status[_kind(endpoint, code).status].append(code)
    return {str(status): _refusal(endpoint, sorted(set(codes))) for status, codes in by_status.items()}


def _kind(endpoint: Endpoint, code: str) -> Kind:
    return endpoint.kinds[code] if code in endpoint.kinds else KINDS[code]


def _access_problems(endpoint: Endpoint) -> Iterable[str]:
    """Yield the problems that authentication and authorization may answer before the handler runs."""
    if endpoint.access is not Access.OPEN:
        yield from ("unauthenticated", "other-origin")
    if endpoint.access is Access.OPERATOR:
        yield "forbidden"
    if endpoint.access is Access.LINK:
        yield "invalid-link"


def _refusal(endpoint: Endpoint, codes: Sequence[str]) -> Response:
    """Return a response whose schema lists the codes, so that an answer with another code breaks it."""
    code: JsonSchema = {"properties": {"code": {"enum": list(codes)}}}
    if endpoint.fault is None:
        schema, media_type = {"allOf": [{"$ref": REF + ProblemView.__name__}, code]}, MEDIA_TYPE
    else:
        ours = {"properties": {"error": code}}
        schema, media_type = {"allOf": [{"$ref": REF + endpoint.fault.__name__}, ours]}, JSON
    described = " ".join(f"`{each}`: {_kind(endpoint, each).title}." for each in codes)
    headers = ["Retry-After"] if any(_kind(endpoint, each).retry_after for each in codes) else []
    headers += ["Accept-Ranges", "Content-Range"] if "range-not-satisfiable" in codes else []
    headers += ["WWW-Authenticate"] if "unauthenticated" in codes else []
    return Response(
        description=described,
        headers={name: _header(name, required=False) for name in headers} or None,
        content={media_type: MediaType(schema=schema_of(schema))},
    )


def _components(endpoints: Sequence[Endpoint], catalogue: Catalogue, default: str) -> dict[str, Any]:
    views: dict[str, type[BaseModel]] = {ProblemView.__name__: ProblemView}
    for endpoint in endpoints:
        views |= {answer.view.__name__: answer.view for answer in endpoint.answers.values() if answer.view}
    _, made = models_json_schema([(view, "validation") for view in views.values()], ref_template=REF + "{model}")
    bodies: dict[str, JsonSchema] = {}
    for endpoint in endpoints:
        if endpoint.body is not None:
            bodies |= endpoint.body.schemas(catalogue, default)
    return {name: schema_of(schema) for name, schema in sorted({**made["$defs"], **bodies}.items())}


def _whole(value: Any) -> Any:
    """Turn whole numbers back into integers: the document's own types have made floats of them."""
    if isinstance(value, dict):
        return {key: _whole(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
