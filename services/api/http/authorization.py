"""Authorization: each operation names the access it needs, and its handler runs only for callers that have it."""

from enum import Enum, auto
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.auth.caller import Caller, set_caller
from services.api.auth.refusal import RequestRefused
from services.api.auth.signed_links import EXPIRES, SIGNATURE
from services.api.http.requests.artifact_name import ArtifactName
from services.api.http.state import AppState, Handler


class Access(Enum):
    """While keys are off, a client on the gateway's own machine is an operator, unless by a proxy or another site."""

    OPEN = auto()  # any client, without a key: health and documentation
    USER = auto()  # any key
    LINK = auto()  # any key, or the signature of a link to this one artifact
    OPERATOR = auto()  # an operator's key


_LINK_HOLDER: Final = Caller(owner=None, party="link")


def authorized(handler: Handler, access: Access) -> Handler:
    """Return the handler behind authorization, with its caller in `caller_of`."""
    if access is Access.OPEN:
        return handler

    async def handle(request: Request[AppState]) -> Response:
        authorize(request, access)
        return await handler(request)

    return handle


def authorize(request: Request[AppState], access: Access = Access.USER) -> None:
    """Set the request's caller. Raises RequestRefused: `unauthenticated`, `forbidden`, `other-origin`, `invalid-link`.

    A link says what it gives, and until when: one that is not valid is refused, whichever key comes with it.
    """
    if access is Access.LINK and SIGNATURE in request.query_params:
        _check_link(request)
        set_caller(request, _LINK_HOLDER)
        return
    caller = request.state["authenticator"].admit(request)
    if access is Access.OPERATOR and not caller.operator:
        raise RequestRefused(
            "forbidden",
            "this is for operators: send an operator's key, or without keys ask on the gateway's own machine",
        )
    set_caller(request, caller)


def _check_link(request: Request[AppState]) -> None:
    given, name = request.query_params, ArtifactName.parse(request.path_params["index"])
    job_id, number = request.path_params["job_id"], name.number if name else -1
    if fault := request.state["links"].fault(job_id, number, given.get(EXPIRES, ""), given[SIGNATURE]):
        raise RequestRefused("invalid-link", fault)
