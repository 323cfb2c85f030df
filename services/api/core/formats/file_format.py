"""The formats in which stored files can be had, by what they hold: images, sound, video or transcripts."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final
from urllib.parse import urlencode

from services.common.errors import InvalidRequest, StudioError
from services.common.modalities.modality import Media
from services.common.schemas import Artifact

_TRANSCRIPT: Final = "application/json"  # the stored form of a text with times, of which the others are made


class FormatUnavailable(StudioError):
    """A library that makes this format is not installed; the message says how to install it."""


@dataclass(frozen=True)
class FileFormat:
    """`options` are the encoder's, for a file that looks or sounds like the stored one.

    Of an image, `side` is the longest side in pixels, and what is transparent becomes white where the format is not
    `transparent`. `quality` replaces our own choice for lossy images: 0 is the smallest file, 100 the best one. Without
    `metadata` the file does not say how it was made; it is marked as generated all the same.
    """

    name: str
    media_type: str
    extension: str
    media: Media = Media.IMAGE
    options: Mapping[str, Any] = field(default_factory=dict)
    transparent: bool = True
    side: int | None = None
    quality: int | None = None
    metadata: bool = True

    @property
    def lossy(self) -> bool:
        return "quality" in self.options

    @property
    def query(self) -> str:
        """The query of the artifact's URL that asks for this format."""
        asked = {"format": self.name, "max_side": self.side, "quality": self.quality}
        asked["metadata"] = None if self.metadata else 0
        return urlencode({name: value for name, value in asked.items() if value is not None})

    @property
    def version(self) -> str:
        """A name that tells this rendition from others of the same file."""
        parts = [self.name]
        parts += [] if self.side is None else [str(self.side)]
        parts += [] if self.quality is None else [f"q{self.quality}"]
        parts += [] if self.metadata else ["bare"]
        return "-".join(parts)


def _sound(name: str, media_type: str, extension: str, codec: str, container: str, bit_rate: int = 0) -> FileFormat:
    """Return a format by FFmpeg's names; `bit_rate` is of one channel, in bits a second."""
    options = {"codec": codec, "container": container, "bit_rate": bit_rate}
    return FileFormat(name, media_type, extension, Media.AUDIO, options)


def _video(name: str, codec: str, sound: str, **settings: str) -> FileFormat:
    """Return a format by FFmpeg's names; `settings` are those of the encoder of the pictures."""
    options = {"codec": codec, "sound": sound, "settings": settings}
    return FileFormat(name, f"video/{name}", name, Media.VIDEO, options)


_ALL: Final = (
    FileFormat("png", "image/png", "png"),
    FileFormat("jpeg", "image/jpeg", "jpg", options={"quality": 92, "subsampling": "4:4:4"}, transparent=False),
    FileFormat("webp", "image/webp", "webp", options={"quality": 90}),
    _sound("wav", "audio/wav", "wav", "pcm_s16le", "wav"),
    _sound("mp3", "audio/mpeg", "mp3", "libmp3lame", "mp3", 96_000),
    _sound("opus", "audio/ogg", "opus", "libopus", "ogg", 48_000),
    _sound("flac", "audio/flac", "flac", "flac", "flac"),
    _sound("aac", "audio/mp4", "m4a", "aac", "ipod", 96_000),
    _video("mp4", "libx264", "aac", preset="veryfast", crf="20"),
    _video("webm", "libvpx-vp9", "libopus", deadline="realtime", crf="28", b="0", **{"cpu-used": "6"}),
    FileFormat("json", _TRANSCRIPT, "json", Media.TEXT),
    FileFormat("txt", "text/plain", "txt", Media.TEXT),
    FileFormat("srt", "application/x-subrip", "srt", Media.TEXT),
    FileFormat("vtt", "text/vtt", "vtt", Media.TEXT),
)
FORMATS: Final[Mapping[str, FileFormat]] = {each.name: each for each in _ALL}


def wanted_format(
    artifact: Artifact,
    name: str | None,
    side: int | None = None,
    quality: int | None = None,
    *,
    metadata: bool = True,
) -> FileFormat | None:
    """Return the format asked for; None for the artifact as it is stored. Raises InvalidRequest with the choices."""
    if name is None and side is None and quality is None and metadata:
        return None
    own = _stored_format(artifact)
    if name is None:
        name = own.name if own else "another file"
    allowed = sorted(each.name for each in formats_of(artifact))
    if own is None or name not in allowed:
        offered = ", ".join(allowed) or "only as it is stored"
        detail = f"an artifact of {artifact.media_type} is not offered as {name[:40]!r}; it is offered: {offered}"
        raise InvalidRequest([{"pointer": "/format", "detail": detail, "got": name[:200], "allowed": allowed}])
    if side is not None and own.media is not Media.IMAGE:
        detail = f"an artifact of {artifact.media_type} has no sides: leave it out"
        raise InvalidRequest([{"pointer": "/max_side", "detail": detail, "got": side}])
    if not FORMATS[name].lossy:
        quality = None  # a lossless file has no quality to choose
    unchanged = metadata or own.media is Media.TEXT  # a text says nothing of how it was made
    if name == own.name and side is None and quality is None and unchanged:
        return None
    return replace(FORMATS[name], side=side, quality=quality, metadata=metadata)


@contextmanager
def telling_faults(kind: str, wanted: FileFormat) -> Iterator[None]:
    """Raise what PyAV raises in the block for this kind of file as InvalidRequest, its absence as FormatUnavailable."""
    try:
        yield
    except ImportError as exc:
        cure = (
            f"have its operator install commercial-studio-photos-generator[speech], or fetch the {kind} as it is stored"
        )
        raise FormatUnavailable(f"{kind} cannot be had as {wanted.name} here: {cure}") from exc
    except (OSError, ValueError, IndexError) as exc:  # those of FFmpeg are some of these
        detail = f"this artifact is no {kind} that can be converted: fetch it without `format`"
        raise InvalidRequest([{"pointer": "/format", "detail": detail, "got": wanted.name}]) from exc


def formats_of(artifact: Artifact) -> Sequence[FileFormat]:
    """Return the formats in which the artifact can be had; none for a file that is only had as it is stored."""
    own = _stored_format(artifact)
    if own is None:
        return ()
    if own.media is Media.TEXT and own.media_type != _TRANSCRIPT:
        return (own,)
    return tuple(each for each in _ALL if each.media is own.media)


def _stored_format(artifact: Artifact) -> FileFormat | None:
    media_type = artifact.media_type.partition(";")[0].strip()
    return next((each for each in _ALL if each.media_type == media_type), None)
