"""Tells requests of our own pages from those that another site makes a browser send."""

from itertools import product
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request

from services.api.auth.forwarded import forwarded_hosts

_DEFAULT_PORTS: Final = (80, 443)
_MOST: Final = 8  # names and ports of each kind that are compared


def foreign_sender(request: Request[Any], public_url: str | None = None) -> str | None:
    """Return a sentence about the other site whose page sent the request; None for our own pages and for programs.

    Browsers name the sender in `Sec-Fetch-Site`, or in `Origin` where that is missing; a request with neither did not
    come from another site's page. `public_url` is our own address as seen from outside, for a proxy in front that
    rewrites the Host header. Headers in which proxies keep the name that was asked for count as well: another site's
    page cannot make a browser send them.
    """
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site in ("same-origin", "none"):
            return None
        return (
            f"the browser says that it was sent by a page of another site (Sec-Fetch-Site: {site[:20]!r}); only this "
            "gateway's own pages may do that, and scripts of the origins in STUDIO_CORS_ORIGINS, by a key where keys "
            "are on"
        )
    origin = request.headers.get("origin")
    if origin is None or _name(origin) in _own_names(request, public_url):
        return None
    if origin == "null":
        return (
            "the browser does not say whose page sent it (Origin: null); if it is this gateway's own, a proxy in front "
            "hides that: have it send `Referrer-Policy: same-origin`, or serve the page by HTTPS"
        )
    host = request.headers.get("host", "")[:100]
    return (
        f"it was sent by a page of {origin[:100]}, and this gateway was asked as {host!r}; if that page is its own, a "
        "proxy in front changed the name: set STUDIO_PUBLIC_URL to the address that browsers use, such as "
        f"{origin[:100]}"
    )


def _own_names(request: Request[Any], public_url: str | None) -> set[str | None]:
    hosts = [request.headers.get("host", ""), *forwarded_hosts(request.headers)][:_MOST]
    ports = [port.strip() for port in request.headers.get("x-forwarded-port", "").split(",")][:_MOST]
    # Some proxies pass a name on without its port, and the port in a header of its own.
    names = {_name(f"//{host}") for host in hosts} | {_name(f"//{host}:{port}") for host, port in product(hosts, ports)}
    return (names | {_name(public_url or "")}) - {None}


def _name(url: str) -> str | None:
    """Return host and port of an origin, without the port that a browser leaves out; None for a text that is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host:
        return None
    return host if port is None or port in _DEFAULT_PORTS else f"{host}:{port}"
