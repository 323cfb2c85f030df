"""The body of a request as middleware sees it: if there may be one, and in which pieces it comes."""

from typing import Final

from starlette.types import Message, Scope

_MANY: Final = 1000  # which cost about 10 ms
_SMALL_BYTES: Final = 512  # below the least that TCP puts into a packet


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
    """Counts the pieces of a body and their bytes. Each piece costs the event loop about as much as a kilobyte."""

    def __init__(self) -> None:
        self.bytes = 0
        self._count = 0

    def add(self, message: Message) -> None:
        self.bytes += len(message.get("body", b""))
        self._count += 1

    @property
    def crumbs(self) -> bool:
        """True if the body comes in many small pieces, as no client of ours sends it."""
        return self._count > _MANY and self.bytes < _SMALL_BYTES * self._count
