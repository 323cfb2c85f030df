"""Whether a request that changes something was sent by one of our own pages."""

from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request


def is_same_origin(request: Request[Any], public_url: str | None = None) -> bool:
    """Browsers say where a form was sent from: `Sec-Fetch-Site`, or `Origin` where that is missing.

    A request with neither was not made by a browser on somebody else's page. `public_url` is our own address
    as seen from outside, for a proxy in front that rewrites the Host header.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get("origin")
    if origin is None:
        return True
    ours = {request.headers.get("host", ""), urlsplit(public_url or "").netloc} - {""}
    return _netloc(origin) in ours


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None
