"""The public URL of the gateway: its scheme, and the path that prefixes all our paths on a shared host name."""

from typing import Any, Final
from urllib.parse import quote, urlsplit

from starlette.requests import Request

_EXAMPLE: Final = "give the address that browsers use, such as https://photos.example.com or https://example.com/photos"


def check_public_url(public_url: str | None) -> None:
    """Raise ValueError for a setting that is no address of a web site, which every link would then begin with."""
    if not public_url:
        return
    try:
        parts = urlsplit(public_url)
        whole = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        whole = False
    if not whole or parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"STUDIO_PUBLIC_URL: {public_url[:200]!r} is no address of a web site: {_EXAMPLE}")


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
