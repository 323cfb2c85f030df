"""The exchange of the gateway with a decoding process: an order, and the facts or the refusal in its answer."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal, Self

ANSWER: Final = "answer.json"  # in the folder of the order
BASE_BYTES: Final = 512 * 1024**2  # of address space: Python, the decoders' libraries, and the stacks of their threads
PIXEL_BYTES: Final = 16  # a progressive picture has its coefficients, its pixels and a converted copy in memory
STORED_TIMES: Final = 3  # a photo that was small as a lossy file may be larger as we store it

# The types of what is stored, by extension.
STORED: Final[Mapping[str, str]] = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "webm": "audio/webm",
}
Reason = Literal["unreadable", "unsupported", "too-large", "bad-form"]


@dataclass(frozen=True)
class Order:
    """`body` is the path of what the client sent, as `content_type` says; all files go to the folder that it is in.

    The rest are limits: the bytes of the file, its pixels, its length, and how long the work may take.
    """

    body: str
    content_type: str
    max_bytes: int
    max_pixels: int
    max_seconds: float
    work_seconds: int

    @property
    def memory_bytes(self) -> int:
        """The address space that the process may have."""
        return BASE_BYTES + PIXEL_BYTES * self.max_pixels

    @property
    def stored_bytes(self) -> int:
        """The longest file that the process may write."""
        return STORED_TIMES * self.max_bytes

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @classmethod
    def decode(cls, text: str) -> Self:
        return cls(**json.loads(text))


class Refusal(Exception):
    """The file is not taken; `detail` is a sentence for the client."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True)
class Warned:
    """A part of the file that was not kept as it was: a code of `intake_warnings`, and a sentence."""

    code: str
    message: str


@dataclass(frozen=True)
class Facts:
    """The result: the name of a file in the folder of the order; `extension` is one of STORED."""

    file: str
    extension: str
    width: int | None = None
    height: int | None = None
    seconds: float | None = None
    warnings: tuple[Warned, ...] = ()

    def encode(self) -> Mapping[str, Any]:
        return asdict(self)
