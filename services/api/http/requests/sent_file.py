"""Reads the one file of a request: the body itself, or the field `file` of a form."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

from starlette.requests import Request

from services.api.auth.refusal import RequestRefused
from services.api.core.inputs.decoding.form_part import FormFile, is_form
from services.api.core.inputs.decoding.order import Refusal
from services.common.budget import extend_budget
from services.common.errors import InvalidRequest

# All that may be wrong with a file that is sent, on whichever route.
TAKING_PROBLEMS = (
    "body-timeout",
    "body-too-large",
    "input-too-large",
    "unsupported-media-type",
    "input-unsupported",
    "input-unreadable",
    "too-many-requests",
    "too-busy",
    "backend-unavailable",
)
_PIECE_BYTES: Final = 256 * 1024  # read at once, in a thread


def check_encoding(request: Request[Any]) -> None:
    """Raise RequestRefused for a compressed body."""
    encoding = request.headers.get("Content-Encoding", "identity")
    if encoding.lower() != "identity":
        detail = f"the Content-Encoding is {encoding[:40]!r}: send the file as it is"
        raise RequestRefused("unsupported-media-type", detail)


async def read_file(request: Request[Any], most: int, read: Callable[[bytes], object]) -> None:
    """Hand the file to `read`, piece by piece, in a thread. `most` is the longest one in bytes.

    Raises InvalidRequest for a broken form, and RequestRefused for an encoded body, a long one and as the body does.
    """
    check_encoding(request)
    content_type = request.headers.get("Content-Type", "")
    try:
        form = FormFile(content_type, most, read) if is_form(content_type) else None
        total = await _feed(request, form.feed if form else read)
        if form:
            form.end()
    except Refusal as exc:
        if exc.reason == "too-large":
            raise _too_large(most) from exc
        raise InvalidRequest([{"pointer": "", "detail": exc.detail}]) from exc
    if total > most and form is None:
        raise _too_large(most)


async def _feed(request: Request[Any], feed: Callable[[bytes], object]) -> int:
    """Return the length of the body."""
    total, piece = 0, bytearray()
    async for chunk in request.stream():
        piece += chunk
        total += len(chunk)
        if len(piece) >= _PIECE_BYTES:
            await _in_thread(feed, bytes(piece))
            piece.clear()
    await _in_thread(feed, bytes(piece))
    return total


async def _in_thread(feed: Callable[[bytes], object], piece: bytes) -> None:
    began = time.monotonic()
    await asyncio.to_thread(feed, piece)
    extend_budget(time.monotonic() - began)


def _too_large(most: int) -> RequestRefused:
    return RequestRefused("body-too-large", f"the file is longer than {most} bytes, the most taken: send a smaller one")
