"""Says which variable of the environment names a proxy that the HTTP client cannot use."""

import os
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit

# httpx2 reads these, in either case.
VARIABLES: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_KNOWN: Final = ("http", "https", "socks5", "socks5h")


def proxy_fault() -> str | None:
    """Return a sentence about the first variable with a proxy that cannot be used, or None. It shows no password."""
    for name in (spelt for variable in VARIABLES for spelt in (variable, variable.lower())):
        if (value := os.environ.get(name, "")) and (fault := _fault(value)):
            return f"{name} {fault}"
    return None


def _fault(value: str) -> str | None:
    try:
        url = urlsplit(value if "://" in value else f"http://{value}")
        url.port  # noqa: B018 - raises ValueError
    except ValueError as exc:
        return f"is no URL of a proxy ({exc}): write http://HOST:PORT, or unset it"
    if url.scheme not in _KNOWN:
        return (
            f"names a proxy with the scheme {url.scheme!r}, which the HTTP client does not know: "
            f"use {', '.join(_KNOWN[:-1])} or {_KNOWN[-1]}, or unset it"
        )
    if url.scheme.startswith("socks") and find_spec("socksio") is None:
        return "names a SOCKS proxy, and the library for these is not installed: `pip install socksio`, or unset it"
    return None if url.hostname else "names no host of a proxy: write http://HOST:PORT, or unset it"
