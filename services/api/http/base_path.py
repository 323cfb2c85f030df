"""The public URL of the gateway: its scheme, and the path that prefixes all our paths on a shared host name."""

from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from starlette.requests import Request

from services.common.network.addresses import http_url

# In which proxies say what they took off a path: those that speak of a prefix, of Jupyter and of Home Assistant, ...
_PREFIXES: Final = ("x-forwarded-prefix", "x-forwarded-context", "x-script-name", "x-ingress-path")
# ... and those that keep all that was asked for, as IIS, ingress-nginx and Envoy do.
_ASKED: Final = ("x-original-url", "x-original-uri", "x-envoy-original-path")


def base_path(public_url: str | None) -> str:
    """Return `/studio` for `https://example.org/studio/`; empty where the host name is ours alone.

    It is as browsers have it in their address bar, which cookies need, in ASCII.
    """
    return quote(urlsplit(public_url or "").path.rstrip("/"), safe="/%:@!$&'()*+,;=~")


def is_https(public_url: str | None) -> bool:
    """True if browsers reach us by HTTPS, however the setting spells it."""
    return urlsplit(public_url or "").scheme == "https"


def own_url(request: Request[Any]) -> str:
    """Return the URL of the gateway, without a slash at its end: the public one, or that of its socket."""
    host, port = request.scope["server"]  # the socket's own address: the Host header may say anything
    return (request.state["settings"].public_url or http_url(host, port)).rstrip("/")


def prefix_fault(request: Request[Any]) -> str | None:
    """Return a sentence if a proxy serves us below a path that the public URL does not have; else None."""
    prefix, public_url = _taken_off(request), request.state["settings"].public_url
    if not prefix or prefix == unquote(base_path(public_url)):
        return None
    return f"a proxy serves this gateway below {quote(prefix)[:100]}: {public_url_hint(request, prefix)}"


def public_url_hint(request: Request[Any], prefix: str) -> str:
    """Return a sentence with the setting for a gateway that browsers find below this path."""
    public_url = request.state["settings"].public_url
    host = request.headers.get("x-forwarded-host", request.headers.get("host", "")).partition(",")[0].strip()
    return (
        f"set STUDIO_PUBLIC_URL to the address that browsers use, such as https://{host[:100]}{quote(prefix)[:100]} "
        f"(it is {public_url or 'not set'})"
    )


def _taken_off(request: Request[Any]) -> str:
    """Return the path, decoded, below which proxies say that they serve us; empty where they say nothing."""
    for name in _PREFIXES:
        if given := ",".join(request.headers.getlist(name)):
            parts = (part.strip().strip("/") for part in given.split(","))
            return unquote("".join(f"/{part}" for part in parts if part))
    path = request.scope["path"]
    for name in _ASKED:
        asked = unquote(request.headers.get(name, "").partition("?")[0])
        if asked.startswith("/") and asked.endswith(path):
            return asked.removesuffix(path)
    return ""
