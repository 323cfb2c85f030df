"""Conditional requests (RFC 9110, section 13): an ETag, and 304 for a client that has the body already."""

import hashlib
from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.http.endpoint import Answer

CONDITIONAL: Final = {304: Answer("Unchanged since that ETag.", headers=["ETag"])}


def conditional_json(request: Request[Any], content: bytes, headers: Mapping[str, str]) -> Response:
    """Return 200 with the content under a strong ETag, or 304 with the same headers and no body."""
    etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers = {**headers, "ETag": etag}
    if is_known(request, etag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="application/json")


def is_known(request: Request[Any], etag: str) -> bool:
    """Return True if If-None-Match names this ETag, by weak comparison as RFC 9110 requires."""
    given = ",".join(request.headers.getlist("If-None-Match"))
    known = {part.strip().removeprefix("W/") for part in given.split(",")}
    return etag.removeprefix("W/") in known or "*" in known
