"""Parts of the gateway that are the same for most tests, made once a process: they take most of the time of a start."""

from collections.abc import Iterator, Sequence
from types import CodeType
from typing import Any

import pytest
from jinja2 import Environment

from services.api.http.endpoint import Endpoint
from services.api.reference import openapi
from services.api.reference.openapi import openapi_document
from services.common.catalogue.catalogue import Catalogue


@pytest.fixture(scope="session", autouse=True)
def parts_made_once() -> Iterator[None]:
    """Compile each page template, and make the OpenAPI document of each catalogue, at their first use alone."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Environment, "compile", _compiling_once())
        patch.setattr(openapi, "openapi_document", _document_made_once())
        yield


def _compiling_once() -> Any:
    compiled: dict[tuple[str, str | None], CodeType] = {}
    compile_template = Environment.compile

    def once(self: Environment, source: str, name: str | None = None, filename: str | None = None) -> CodeType:
        key = source, name
        if key not in compiled:
            compiled[key] = compile_template(self, source, name, filename)
        return compiled[key]

    return once


def _document_made_once() -> Any:
    made: dict[tuple[object, ...], dict[str, Any]] = {}

    def once(
        endpoints: Sequence[Endpoint], catalogue: Catalogue, default: str, *, keys: bool = False
    ) -> dict[str, Any]:
        key = tuple((each.method, each.path) for each in endpoints), repr(catalogue), default, keys
        if key not in made:
            made[key] = openapi_document(endpoints, catalogue, default, keys=keys)
        return made[key]

    return once
