"""Stands in front of every handler of the API: nobody gets past it who may not."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.api.http.access import Access
from services.api.http.problems import RequestRefused, on_error
from services.api.http.state import AppState

Handler = Callable[[Request[AppState]], Awaitable[Response]]
Refusal = Callable[[Request[Any], Exception], Awaitable[Response]]


def guarded(handler: Handler, access: Access, refuse: Refusal = on_error) -> Handler:
    """The handler, which finds its caller by `caller_of`; `refuse` answers whoever is not let in."""
    if access is Access.OPEN:
        return handler

    async def handle(request: Request[AppState]) -> Response:
        try:
            let_in(request, access)
        except RequestRefused as exc:
            return await refuse(request, exc)
        return await handler(request)

    return handle


def let_in(request: Request[AppState], access: Access = Access.USER) -> None:
    """Raises RequestRefused: `unauthenticated`, `forbidden` or `other-origin`."""
    caller = request.state["door"].admit(request)
    if access is Access.OPERATOR and not caller.operator:
        raise RequestRefused("forbidden", "this is for operators: by key, or without keys on the gateway's own machine")
    request.scope["state"]["caller"] = caller
