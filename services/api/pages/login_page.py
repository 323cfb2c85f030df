"""Signing in: a person shows a key once; a cookie then stands for it until the session ends or they sign out."""

from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from services.api.auth.authentication import Authenticator
from services.api.auth.refusal import RequestRefused
from services.api.http.authorization import authorize
from services.api.http.state import AppState, Handler
from services.api.pages.page_errors import Notice, error_page
from services.api.pages.page_templates import PageTemplates
from services.api.pages.submission import read_form

HOME: Final = "/"
PATH: Final = "/login"
_LONGEST: Final = 2000  # characters


class LoginPage:
    def __init__(self, templates: PageTemplates) -> None:
        self._templates = templates

    async def show(self, request: Request[AppState]) -> Response:
        """Show the form; while keys are off, lead to the first page."""
        if request.state["authenticator"].keyring is None:
            return RedirectResponse(HOME, 303)
        return self._form(request.query_params.get("next", HOME))

    async def sign_in(self, request: Request[AppState]) -> Response:
        """Answer 303 to the page the person wanted, with the cookie; or the form again."""
        authenticator = request.state["authenticator"]
        data = await read_form(request)
        wanted = data.get("next", HOME)
        key = authenticator.keyring.find(data.get("key", "").strip()) if authenticator.keyring else None
        if key is None:
            return self._form(wanted, HTTPStatus.UNAUTHORIZED)
        if fault := _lost_cookie(request, authenticator):
            return error_page(self._templates, Notice(403, "Signing in needs HTTPS here", fault))
        response = RedirectResponse(_here(wanted), 303)
        authenticator.sessions.open(response, key)
        return response

    async def sign_out(self, request: Request[AppState]) -> Response:
        """Answer 303 to the form; the browser forgets the cookie and its cached photos, for the next person."""
        response = RedirectResponse(PATH, 303, {"Clear-Site-Data": '"cache"'})
        request.state["authenticator"].sessions.close(response)
        return response

    def _form(self, wanted: str, status: int = HTTPStatus.OK) -> Response:
        wrong = status == HTTPStatus.UNAUTHORIZED
        # RFC 9110 wants every 401 to name a scheme. This one is unknown to browsers, so none opens its own dialogue.
        headers = {"WWW-Authenticate": 'Form realm="studio"'} if wrong else {}
        return self._templates.page("login.html", status, headers, wanted=_here(wanted), wrong=wrong)


def signed_in(handler: Handler) -> Handler:
    """Wrap a page so that callers without a key or session are sent to sign in, and then back to it."""

    async def handle(request: Request[AppState]) -> Response:
        try:
            authorize(request)
        except RequestRefused as exc:
            path, query = quote(request.scope["path"]), request.scope["query_string"].decode("latin-1")
            if exc.code != "unauthenticated" or path.endswith(("/fragment", "/busy")):
                raise
            wanted = HOME if request.method == "POST" else f"{path}?{query}" if query else path
            return RedirectResponse(f"{PATH}?{urlencode({'next': _here(wanted)})}", 303, {"Cache-Control": "no-store"})
        return await handler(request)

    return handle


def _here(path: str) -> str:
    """Return the path if it stays on this site, else the first page: two slashes, of either kind, lead elsewhere.

    No page of ours has an address as long as those that are not kept.
    """
    plain = path.startswith("/") and path[1:2] not in ("/", "\\") and path.isprintable() and len(path) <= _LONGEST
    return path if plain else HOME


def _lost_cookie(request: Request[AppState], authenticator: Authenticator) -> str | None:
    """Return a sentence if the browser would drop the cookie of a session: it is for HTTPS, and the page is not.

    A proxy may have ended TLS, so only the browser knows: it sends `Sec-Fetch-Site` by HTTPS and to its own machine.
    """
    origin = request.headers.get("origin", "")
    if "sec-fetch-site" in request.headers or not origin.startswith("http://") or not authenticator.sessions.secure:
        return None
    return (
        f"Your browser came by {origin[:100]}, and the session is kept for {authenticator.public_url} only. Open that "
        "address; if it is not this studio's own, its operator changes STUDIO_PUBLIC_URL."
    )
