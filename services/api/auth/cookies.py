"""Reads one cookie of a request, and leaves those of other programs on the same host alone.

`Request.cookies` reads all of them, and takes a time that grows with the square of the length of a quoted one
(CVE-2024-7592, in Python up to 3.11.9 and 3.12.5).
"""

from typing import Any

from starlette.requests import Request


def cookie_of(request: Request[Any], name: str) -> str | None:
    """Return the value of the last cookie of this name, as it was sent; None without one."""
    found = None
    for header in request.headers.getlist("cookie"):
        for cookie in header.split(";"):
            given, _, value = cookie.partition("=")
            if given.strip() == name:
                found = value.strip()
    return found
