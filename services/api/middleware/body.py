"""Tells requests that may have a body from the others, which are most and which the body's middleware skips."""

from starlette.types import Scope


def may_have_body(scope: Scope) -> bool:
    """False only where HTTP/1 says that there is none (RFC 9112, section 6.3)."""
    if not scope["http_version"].startswith("1"):
        return True
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in scope["headers"]
    )
