"""The answer that holds the images themselves, in base64.

It is encoded piece by piece as it is sent: four large images are tens of megabytes, and to encode all at once would
keep the event loop from every other request.
"""

import base64
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from typing import Final

from starlette.responses import Response

from services.api.http.holding import HoldingStream
from services.api.openai.views import ImagesResponse

_STEP: Final = 3 * 32 * 1024  # bytes of a file; base64 makes four characters of three bytes
_BEFORE_FILES, _BEFORE_FILE, _BETWEEN, _AFTER_FILE, _AFTER_FILES = b',"data":[', b'{"b64_json":"', b",", b'"}', b"]}"


def inline_images(
    view: ImagesResponse, files: Sequence[bytes], headers: Mapping[str, str], turn: AsyncExitStack
) -> Response:
    """Return the answer; its `data` are the files, in place of those of the view. It ends the turn once it is sent."""
    members = json.dumps(view.model_dump(exclude={"data"}), separators=(",", ":")).encode("ascii")[:-1]
    fixed = len(members) + len(_BEFORE_FILES) + len(_AFTER_FILES) + len(_BETWEEN) * (len(files) - 1)
    length = fixed + sum(len(_BEFORE_FILE) + 4 * -(-len(file) // 3) + len(_AFTER_FILE) for file in files)
    headers = {**headers, "Content-Length": str(length)}
    stream = HoldingStream(_pieces(members, files), headers=headers, media_type="application/json")
    return stream.holding(turn)


async def _pieces(members: bytes, files: Sequence[bytes]) -> AsyncIterator[bytes]:
    yield members + _BEFORE_FILES
    for number, file in enumerate(files):
        yield _BETWEEN + _BEFORE_FILE if number else _BEFORE_FILE
        for begin in range(0, len(file), _STEP):
            yield base64.b64encode(file[begin : begin + _STEP])
        yield _AFTER_FILE
    yield _AFTER_FILES
