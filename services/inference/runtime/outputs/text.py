"""Text that was heard, stored as JSON with the times of its words; other formats are made of it."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from services.inference.runtime.outputs.output import Encoded


@dataclass(frozen=True)
class Word:
    """A word with the white space before it, when it is said, in seconds, and how sure the model is, 0 to 1."""

    word: str
    start: float
    end: float
    probability: float


@dataclass(frozen=True)
class Segment:
    """A part of a recording, mostly a sentence, numbered from 0. `start` and `end` are seconds from its beginning.

    `text` has the white space before it, as languages without spaces between sentences have none.
    """

    id: int
    start: float
    end: float
    text: str
    words: Sequence[Word]


@dataclass(frozen=True)
class TranscriptOutput:
    """The words of a recording of `duration` seconds. `language` is a code such as `en`; None where none was heard."""

    language: str | None
    duration: float
    segments: Sequence[Segment]

    @property
    def text(self) -> str:
        return "".join(segment.text for segment in self.segments).strip()

    def encode(self, metadata: dict[str, str]) -> Encoded:  # noqa: ARG002 - the format has no place for them
        segments = [asdict(segment) for segment in self.segments]
        content = {"text": self.text, "language": self.language, "duration": self.duration, "segments": segments}
        data = json.dumps(content, ensure_ascii=False).encode(errors="replace")
        seconds = round(self.duration, 3)
        return Encoded(data, "application/json", "json", duration_seconds=seconds, characters=len(self.text))
