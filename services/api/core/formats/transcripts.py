"""Stored transcripts in other formats: plain text, and subtitles where they have times."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from pydantic import BaseModel, Field, ValidationError

from services.api.core.formats.file_format import FileFormat
from services.common.errors import InvalidRequest
from services.common.provenance.mark import Mark

Cue = tuple[float, float, str]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class _Segment(BaseModel):
    """A part of what was said; its times may be unknown."""

    text: str
    start: Seconds | None = None
    end: Seconds | None = None


class _Transcript(BaseModel):
    """The parts of the stored JSON that other formats have."""

    text: str
    segments: tuple[_Segment, ...] = ()


def converted(data: bytes, wanted: FileFormat, mark: Mark) -> bytes:  # noqa: ARG001 - a text has no place for it
    """Return the transcript in this format, in UTF-8.

    Raises InvalidRequest for a file that is no transcript, and for subtitles of one without times.
    """
    try:
        stored = _Transcript.model_validate_json(data)
    except ValidationError as exc:
        raise _refusal("this artifact is no transcript: fetch it without `format`", wanted) from exc
    if wanted.name == "txt":
        return f"{stored.text.strip()}\n".encode()
    cues = list(_cues(stored.segments, wanted))
    if stored.text.strip() and not cues:
        raise _refusal("this transcript has no times: fetch it as txt or json", wanted)
    return (_srt(cues) if wanted.name == "srt" else _vtt(cues)).encode()


def _refusal(detail: str, wanted: FileFormat) -> InvalidRequest:
    return InvalidRequest([{"pointer": "/format", "detail": detail, "got": wanted.name}])


def _cues(segments: Sequence[_Segment], wanted: FileFormat) -> Iterator[Cue]:
    for segment in segments:
        text = " ".join(segment.text.split())
        if segment.start is None or segment.end is None:
            raise _refusal("this transcript has no times: fetch it as txt or json", wanted)
        if text:
            yield segment.start, max(segment.start, segment.end), text


def _srt(cues: Sequence[Cue]) -> str:
    blocks = (
        f"{number}\n{_time(start, ',')} --> {_time(end, ',')}\n{text}\n"
        for number, (start, end, text) in enumerate(cues, 1)
    )
    return "\n".join(blocks)


def _vtt(cues: Sequence[Cue]) -> str:
    """Return WebVTT (https://www.w3.org/TR/webvtt1/), in which a cue's text is escaped."""
    blocks = (f"{_time(start, '.')} --> {_time(end, '.')}\n{_escaped(text)}\n" for start, end, text in cues)
    return "\n".join(["WEBVTT\n", *blocks])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _time(seconds: float, point: str) -> str:
    """Return hours, minutes, seconds and thousandths; srt and vtt have different marks before the last."""
    minutes, rest = divmod(round(seconds * 1000), 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{rest // 1000:02}{point}{rest % 1000:03}"
