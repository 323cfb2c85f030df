"""Answers requests for which there is no route: with the nearest one, the methods that are allowed, or a setting."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.api.http.base_path import base_path, prefix_fault
from services.api.http.dialect import misses_version, speaks_openai
from services.api.http.problems import plain_problem, problem
from services.common.suggestions import nearest

_BY_STATUS: Final = {
    400: "bad-request",
    404: "not-found",
    405: "method-not-allowed",
    408: "body-timeout",
    413: "body-too-large",
    415: "unsupported-media-type",
}

# Every method of any route; for a method without a route 405 tells more than 404.
_METHODS: Final = ("DELETE", "GET", "HEAD", "POST")
_SHOWN: Final = 100  # characters of a path in a sentence


async def on_http_exception(request: Request[Any], exc: Exception) -> Response:
    """Return the response for an exception of Starlette's own, with its headers. Raises TypeError for any other."""
    if not isinstance(exc, HTTPException):
        raise TypeError(type(exc))
    status, headers = exc.status_code, dict(exc.headers or {})
    if status == 404 and request.method not in _METHODS:
        status = 405
    if status == 405:
        headers["Allow"] = ", ".join(_allowed(request, exc))
        detail = f"{request.method[:20]} is not allowed at {_shown(request)}; allowed are {headers['Allow']}"
        return problem(request, _BY_STATUS[405], detail, headers=headers)
    detail = exc.detail
    if status == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = _missing(request)
    if status in _BY_STATUS:
        return problem(request, _BY_STATUS[status], detail, headers=headers)
    return plain_problem(request, status, HTTPStatus(status).phrase, detail, headers)


def _missing(request: Request[Any]) -> str:
    path, paths = request.scope["path"], {route.path for route in _routes(request)}
    there_is_nothing = f"there is nothing at {_shown(request)}"
    if fault := prefix_fault(request):
        return f"{there_is_nothing}; {fault}"
    base = base_path(request.state["settings"].public_url)
    if misses_version(path):
        return f"{there_is_nothing}: the base URL of OpenAI's clients ends with {base}/v1, once"
    if speaks_openai(path):
        offered = ", ".join(sorted(f"{base}{each}" for each in paths if speaks_openai(each)))
        return f"{there_is_nothing}: of OpenAI's routes this gateway has {offered}"
    near = nearest(path, [each for each in paths if "{" not in each])
    meant = f"; did you mean {base}{near}?" if near else ";"
    return f"{there_is_nothing}{meant} {base}/docs lists every operation, {base}/ is the first page"


def _shown(request: Request[Any]) -> str:
    return quote(base_path(request.state["settings"].public_url) + request.scope["path"])[:_SHOWN]


def _allowed(request: Request[Any], exc: HTTPException) -> Sequence[str]:
    """Return the methods of all routes with this path; Starlette names only those of the first."""
    matching = [route for route in _routes(request) if route.path_regex.match(request.scope["path"])]
    if matching:
        return sorted({method for route in matching for method in route.methods or ()})
    return _METHODS if exc.status_code == 404 else ("GET", "HEAD")  # a mounted folder of files


def _routes(request: Request[Any]) -> list[Route]:
    return [route for route in request.app.routes if isinstance(route, Route)]
