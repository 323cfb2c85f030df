"""Tells requests of our own pages from those that another site makes a browser send."""

from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request


def is_same_origin(request: Request[Any], public_url: str | None = None) -> bool:
    """True unless a browser says that another site's page sent the request.

    Browsers name the sender in `Sec-Fetch-Site`, or in `Origin` where that is missing; a request with neither did not
    come from another site's page. `public_url` is our own address as seen from outside, for a proxy in front that
    rewrites the Host header.
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
