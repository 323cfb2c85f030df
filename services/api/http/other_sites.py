"""Pages of other sites may show our images and have scripts that use the API, by the Fetch standard.

Both are for the sites in STUDIO_CORS_ORIGINS. `middleware/cors.py` lets their scripts in.
"""

from typing import Any, Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import Scope

_ALLOWED: Final = {"Cross-Origin-Resource-Policy": "cross-origin"}


def embedding_headers(request: Request[Any]) -> dict[str, str]:
    """Return the headers that let the page show the image, or no other page; empty where no site is listed.

    For an `<img>` browsers send no Origin, and the page may keep them from sending a Referer. A page that hides its
    name gets no more than it could fetch without a browser: such requests carry no cookie of ours.
    """
    listed = request.state["authenticator"].others
    if not listed:
        return {}
    sender = request.headers.get("origin") or _origin(request.headers.get("referer", ""))
    # What a browser has kept for one page is not for another: sites with a common domain share its cache.
    return {"Vary": "Referer", **(_ALLOWED if not sender or sender in listed else {})}


def is_preflight(scope: Scope) -> bool:
    """True for the question of a browser whether a script of another site may send a request."""
    if scope["type"] != "http" or scope["method"] != "OPTIONS":
        return False
    headers = Headers(scope=scope)
    return "origin" in headers and "access-control-request-method" in headers


def preflight_refusal(request: Request[Any]) -> str:
    """Return a sentence for the preflight of a site that is not listed."""
    return (
        f"a script of {request.headers['origin'][:100]} wants to use this API, and that is for scripts of the origins "
        "in STUDIO_CORS_ORIGINS: have the operator add it there"
    )


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "unknown"
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
