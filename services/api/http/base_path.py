"""The public URL of the gateway: its scheme, and the path that prefixes all our paths on a shared host name."""

from typing import Any
from urllib.parse import quote, urlsplit

from starlette.requests import Request


def base_path(public_url: str | None) -> str:
    """Return `/studio` for `https://example.org/studio/`; empty where the host name is ours alone."""
    return urlsplit(public_url or "").path.rstrip("/")


def is_https(public_url: str | None) -> bool:
    """True if browsers reach us by HTTPS, however the setting spells it."""
    return urlsplit(public_url or "").scheme == "https"


def prefix_fault(request: Request[Any]) -> str | None:
    """Return a sentence if a proxy serves us below a path that the public URL does not have; else None."""
    given = request.headers.getlist("x-forwarded-prefix")
    prefix = "".join(f"/{part.strip().strip('/')}" for part in ",".join(given).split(",") if part.strip(" /"))
    public_url = request.state["settings"].public_url
    if not prefix or prefix == base_path(public_url):
        return None
    host = request.headers.get("x-forwarded-host", request.headers.get("host", "")).partition(",")[0].strip()
    return (
        f"a proxy serves this gateway below {quote(prefix)[:100]}, and STUDIO_PUBLIC_URL is {public_url or 'not set'}: "
        f"set it to the address that browsers use, such as https://{host[:100]}{quote(prefix)[:100]}"
    )
