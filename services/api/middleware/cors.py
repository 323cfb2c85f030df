"""Lets the scripts of listed sites use the API from a browser, by CORS of the Fetch standard."""

from typing import Final
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

_METHODS: Final = ("GET", "HEAD", "POST", "DELETE")
_SHOWN: Final = (
    *("ETag", "Idempotency-Replayed", "Location", "Preference-Applied", "RateLimit", "RateLimit-Policy", "Retry-After"),
    *("Content-Disposition", "X-Job-Id", "X-Request-Id", "x-should-retry"),
)


def listed_origins(listed: str) -> tuple[str, ...]:
    """Split the list at its commas. Raises ValueError for a part that is no origin, such as `*` or one with a path."""
    origins = tuple(part.rstrip("/") for part in listed.replace(",", " ").split())
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in ("http", "https") or not parts.netloc or f"{parts.scheme}://{parts.netloc}" != origin:
            raise ValueError(f"STUDIO_CORS_ORIGINS: {origin!r} is no origin; give one such as https://shop.example.com")
    return origins


def cors(origins: tuple[str, ...]) -> list[Middleware]:
    """Return the middleware; an empty list without origins. Cookies are not allowed: a script sends a key instead.

    A script of a listed site may send any header: OpenAI's clients and tracers send dozens, and new ones with each
    version (`x-stainless-*`, `openai-*`, `traceparent`), and a program that is no browser may send them all anyway. It
    may also reach a gateway in a private network, for which browsers ask by a header of their own.
    """
    if not origins:
        return []
    return [
        Middleware(
            CORSMiddleware,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=_SHOWN,
        )
    ]
