"""The body of a request as middleware sees it: if there may be one, and in which pieces it comes."""

from typing import Final

from starlette.types import Message, Scope

MANY_PIECES: Final = 1000
SMALL_BYTES: Final = 512  # below the least that TCP puts into a packet


def may_have_body(scope: Scope) -> bool:
    """False only where HTTP/1 says that there is none (RFC 9112, section 6.3).

    Most requests have none, and skip the middleware of bodies.
    """
    if not scope["http_version"].startswith("1"):
        return True
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )


class Pieces:
    """Counts the pieces of a body and their bytes. Each costs the event loop about 10 µs, however small it is."""

    def __init__(self) -> None:
        self.bytes = 0
        self._count = 0

    def add(self, message: Message) -> None:
        self.bytes += len(message.get("body", b""))
        self._count += 1

    @property
    def crumbs(self) -> bool:
        """True if the body comes in many small pieces, as no usual client sends it."""
        return self._count > MANY_PIECES and self.bytes < SMALL_BYTES * self._count
