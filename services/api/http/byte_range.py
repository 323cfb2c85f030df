"""Requests for one part of a file, as players and resumed downloads make them (RFC 9110, section 14)."""

import re
from dataclasses import dataclass
from typing import Any, Final

from starlette.requests import Request

from services.api.auth.refusal import RequestRefused

RANGES: Final = {"Accept-Ranges": "bytes"}
_ONE_RANGE: Final = re.compile(r"bytes=[ \t]*([0-9]{0,18})-([0-9]{0,18})[ \t]*", re.IGNORECASE)


@dataclass(frozen=True)
class ByteRange:
    """The bytes from `start` to before `end` of a file of `total` bytes; there is at least one."""

    start: int
    end: int
    total: int

    @property
    def headers(self) -> dict[str, str]:
        """The headers that a 206 has beside those of the whole file."""
        length = self.end - self.start
        return {"Content-Range": f"bytes {self.start}-{self.end - 1}/{self.total}", "Content-Length": str(length)}


def wanted_range(request: Request[Any], etag: str, total: int) -> ByteRange | None:
    """Return the part that is asked for; None where the whole file is the answer.

    The whole is the answer to several ranges, to a text that is no range of bytes, to HEAD, and where If-Range names
    another file or a weak ETag. Raises RequestRefused for a range that begins behind the file's end.
    """
    given = request.headers.getlist("Range")
    found = _ONE_RANGE.fullmatch(given[0]) if len(given) == 1 else None
    if request.method != "GET" or found is None or not _same_file(request, etag):
        return None
    first, last = found.groups()
    if not first:
        return None if not last else _part(max(0, total - int(last)), total, total)
    if last and int(last) < int(first):
        return None
    return _part(int(first), min(int(last) + 1, total) if last else total, total)


def _same_file(request: Request[Any], etag: str) -> bool:
    """Return True unless If-Range names another file, by strong comparison: parts of two files must not be joined."""
    known = request.headers.get("If-Range")
    return known is None or (known.strip() == etag and not etag.startswith("W/"))


def _part(start: int, end: int, total: int) -> ByteRange:
    if start >= total:
        detail = f"the file has {total} bytes, counted from 0: ask for a range that begins before its end"
        raise RequestRefused("range-not-satisfiable", detail, {**RANGES, "Content-Range": f"bytes */{total}"})
    return ByteRange(start, end, total)
