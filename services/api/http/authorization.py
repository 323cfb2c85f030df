"""Authorization: each operation names the access it needs, and its handler runs only for callers that have it."""

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import set_caller
from services.api.auth.refusal import RequestRefused
from services.api.http.problems import on_error
from services.api.http.state import AppState, Handler


class Access(Enum):
    """While keys are off an operator is who is on the gateway's own machine: not by a proxy, nor by another's page."""

    OPEN = auto()  # anybody, without a key: health, and what the documentation says
    USER = auto()  # whoever has a key
    OPERATOR = auto()  # with the key of one


Refusal = Callable[[Request[Any], Exception], Awaitable[Response]]


def authorized(handler: Handler, access: Access, refuse: Refusal = on_error) -> Handler:
    """The handler, which finds its caller by `caller_of`; `refuse` answers whoever is not let in."""
    if access is Access.OPEN:
        return handler

    async def handle(request: Request[AppState]) -> Response:
        try:
            authorize(request, access)
        except RequestRefused as exc:
            return await refuse(request, exc)
        return await handler(request)

    return handle


def authorize(request: Request[AppState], access: Access = Access.USER) -> None:
    """Raises RequestRefused: `unauthenticated`, `forbidden` or `other-origin`."""
    caller = request.state["authenticator"].admit(request)
    if access is Access.OPERATOR and not caller.operator:
        raise RequestRefused("forbidden", "this is for operators: by key, or without keys on the gateway's own machine")
    set_caller(request, caller)
