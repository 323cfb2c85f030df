"""Lets the scripts of listed sites use the API from a browser, by CORS of the Fetch standard."""

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import Receive, Scope, Send

from services.api.http.other_sites import is_preflight
from services.common.network.addresses import bare_host

_METHODS: Final = ("GET", "HEAD", "POST", "DELETE")
_SHOWN: Final = (
    *("ETag", "Idempotency-Replayed", "Location", "Preference-Applied", "RateLimit", "RateLimit-Policy", "Retry-After"),
    *("Accept-Ranges", "Content-Range"),
    *("Content-Disposition", "X-Job-Id", "X-Request-Id", "x-should-retry"),
)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


def listed_origins(listed: str) -> tuple[str, ...]:
    """Return the origins of the list, spelt as browsers do.

    Raises ValueError for a part that is no origin, such as `*` or one with a path.
    """
    return tuple(_origin(part) for part in listed.replace(",", " ").split())


def _origin(part: str) -> str:
    """Return the origin in small letters, its name in ASCII, without the port of its scheme (RFC 6454, section 6.2)."""
    try:
        url = urlsplit(part)
        name, port = bare_host((url.hostname or "").encode("idna").decode("ascii")), url.port
        bare = not (url.path.strip("/") or url.query or url.fragment or "@" in url.netloc)
    except ValueError:
        bare = False
    if not bare or url.scheme not in _DEFAULT_PORTS:
        raise ValueError(f"STUDIO_CORS_ORIGINS: {part[:100]!r} is no origin; give one such as https://shop.example.com")
    host = f"[{name}]" if ":" in name else name
    return f"{url.scheme}://{host}" if port in (None, _DEFAULT_PORTS[url.scheme]) else f"{url.scheme}://{host}:{port}"


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
            ListedOrigins,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=_SHOWN,
        )
    ]


class ListedOrigins(CORSMiddleware):
    """Answers the preflights of listed sites. The others go on to the routes, which refuse them in a sentence."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if is_preflight(scope) and not self.is_allowed_origin(Headers(scope=scope)["origin"]):
            await self.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)
