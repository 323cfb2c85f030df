"""What every output has in common: it becomes one file."""

from dataclasses import dataclass
from typing import Protocol

from services.common.errors import Filtered, GenerationError


class NothingMade(GenerationError):
    """Raised for a request that the model makes nothing of, however often it is asked. Its message is for clients."""

    code = "nothing-made"
    retryable = False


@dataclass(frozen=True)
class Encoded:
    """A file ready to be stored.

    An image has `width` and `height` in pixels, a sound `duration_seconds`, and a text its length in `characters`.
    """

    data: bytes
    media_type: str
    extension: str
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    characters: int | None = None


class Output(Protocol):
    """One thing that an adapter made."""

    def encode(self, metadata: dict[str, str]) -> Encoded:
        """Return the file, with `metadata` (how it was made) written into it where the format has a place."""


@dataclass(frozen=True)
class FilteredOutput:
    """Stands for an output that the model's safety checker withheld. Nothing of it is stored."""

    def encode(self, metadata: dict[str, str]) -> Encoded:  # noqa: ARG002 - of the protocol
        raise Filtered("the model's safety checker withheld this output")
