"""The answer with a stored file, or with the part of it that the request asks for."""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from services.api.core.artifacts import ArtifactStream
from services.api.http.byte_range import RANGES, wanted_range
from services.api.http.holding import HoldingStream

FILE_HEADERS: Final = ("ETag", "Content-Disposition", "Accept-Ranges")  # of every answer with a file


async def stored_file(
    request: Request[Any],
    headers: Mapping[str, str],
    media_type: str,
    total: int,
    begin: Callable[[int, int | None], Awaitable[ArtifactStream]],
) -> Response:
    """Return 200, 206 for a part, or the head alone. `headers` have the ETag of the file, which has `total` bytes.

    `begin(start, end)` opens the file for those bytes. Raises as that, and RequestRefused for a part that is not there.
    """
    headers = {**headers, **RANGES}
    part = wanted_range(request, headers["ETag"], total)
    if part is not None:
        stream = await begin(part.start, part.end)
        return HoldingStream(stream, 206, {**headers, **part.headers}, media_type).holding(aclosing(stream))
    headers["Content-Length"] = str(total)
    stream = await begin(0, None)
    if request.method == "HEAD":
        await stream.aclose()
        return Response(headers=headers, media_type=media_type)
    return HoldingStream(stream, headers=headers, media_type=media_type).holding(aclosing(stream))
