"""Answers requests for which there is no route: with the nearest one, the methods that are allowed, or a setting."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from services.api.http.base_path import base_path, prefix_fault, public_url_hint
from services.api.http.dialect import has_wrong_base, speaks_openai
from services.api.http.other_sites import is_preflight, preflight_refusal
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
_DEEPEST: Final = 8  # parts of a path that are tried as a prefix


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
        if is_preflight(request.scope):
            detail += f"; {preflight_refusal(request)}"
        return problem(request, _BY_STATUS[405], detail, headers=headers)
    detail = exc.detail
    if status == 404 and detail == HTTPStatus.NOT_FOUND.phrase:
        detail = f"there is nothing at {_shown(request)}{_advice(request)}"
    if status in _BY_STATUS:
        return problem(request, _BY_STATUS[status], detail, headers=headers)
    return plain_problem(request, status, HTTPStatus(status).phrase, detail, headers)


def _advice(request: Request[Any]) -> str:
    """Return what to do about a path that is not there, with the punctuation before it."""
    path, routes = request.scope["path"], _routes(request)
    base = base_path(request.state["settings"].public_url)
    if fault := prefix_fault(request):
        return f"; {fault}"
    if (plain := path.rstrip("/")) != path and _leads_to(routes, plain):
        return f"; {base}{quote(plain)[:_SHOWN]} is there, without a slash at its end"
    if prefix := _foreign_prefix(routes, path):
        whole, below = f"{base}{quote(path.removeprefix(prefix))[:_SHOWN]}", quote(prefix)[:_SHOWN]
        hint = public_url_hint(request, prefix)
        return f"; {whole} is there, below no other path. If a proxy serves this gateway below {below}, {hint}"
    if has_wrong_base(path):
        return f": the base URL of OpenAI's clients is the gateway's with {base}/v1 behind it, once"
    if speaks_openai(path):
        offered = sorted(f"{base}{route.path}" for route in routes if speaks_openai(route.path))
        return f": of OpenAI's routes this gateway has {', '.join(offered)}"
    near = nearest(path, [route.path for route in routes if "{" not in route.path])
    meant = f"; did you mean {base}{near}?" if near else ";"
    return f"{meant} {base}/docs lists every operation, {base}/ is the first page"


def _foreign_prefix(routes: Sequence[Route], path: str) -> str | None:
    """Return what is before the path of a route, as a proxy leaves it there; None where the path begins as ours do."""
    first = _first_part(path)
    if not first or any(_first_part(route.path) == first for route in routes):
        return None
    cuts = [index for index, letter in enumerate(path) if letter == "/" and index > 0][:_DEEPEST]
    return next((path[:cut] for cut in cuts if _leads_to(routes, path[cut:])), None)


def _first_part(path: str) -> str:
    return path.partition("/")[2].partition("/")[0]


def _leads_to(routes: Sequence[Route], path: str) -> bool:
    return any(route.path_regex.match(path) for route in routes)


def _shown(request: Request[Any]) -> str:
    return (base_path(request.state["settings"].public_url) + quote(request.scope["path"]))[:_SHOWN]


def _allowed(request: Request[Any], exc: HTTPException) -> Sequence[str]:
    """Return the methods of all routes with this path; Starlette names only those of the first."""
    matching = [route for route in _routes(request) if route.path_regex.match(request.scope["path"])]
    if matching:
        return sorted({method for route in matching for method in route.methods or ()})
    return _METHODS if exc.status_code == 404 else ("GET", "HEAD")  # a mounted folder of files


def _routes(request: Request[Any]) -> list[Route]:
    return [route for route in request.app.routes if isinstance(route, Route)]
