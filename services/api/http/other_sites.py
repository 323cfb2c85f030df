"""Lets pages of listed sites show our images: by Cross-Origin-Resource-Policy of the Fetch standard."""

from typing import Any, Final
from urllib.parse import urlsplit

from starlette.requests import Request

_ALLOWED: Final = {"Cross-Origin-Resource-Policy": "cross-origin"}


def embedding_headers(request: Request[Any]) -> dict[str, str]:
    """Return the header that lets the page show the image; nothing where no site is listed, or another one asks.

    For an `<img>` browsers send no Origin, and the page may keep them from sending a Referer. A page that hides its
    name gets no more than it could fetch without a browser: such requests carry no cookie of ours.
    """
    listed = request.state["authenticator"].others
    sender = request.headers.get("origin") or _origin(request.headers.get("referer", ""))
    return dict(_ALLOWED) if listed and (not sender or sender in listed) else {}


def _origin(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "unknown"
    return f"{parts.scheme}://{parts.netloc}" if parts.netloc else ""
