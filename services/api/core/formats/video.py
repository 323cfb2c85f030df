"""Stored video in other formats, by PyAV, which carries FFmpeg's encoders."""

import io
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from services.api.core.formats.file_format import FileFormat, telling_faults
from services.common.provenance import mp4
from services.common.provenance.mark import Mark

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.stream import Stream

_TELLING: Final = ("comment", "title", "description")  # the tags that say how a video was made
_RATE: Final = 48_000  # samples a second of its sound: Opus takes no other of those in use


def converted(data: bytes, wanted: FileFormat, mark: Mark) -> bytes:
    """Return the video in this format, with the mark; one that has the format already is not encoded again.

    Raises InvalidRequest for a file that is no video, and FormatUnavailable without PyAV.
    """
    with telling_faults("video", wanted):
        made = _written(data, wanted, mark)
    return mp4.with_xmp(made, mark.xmp()) if wanted.name == "mp4" else made


def _written(data: bytes, wanted: FileFormat, mark: Mark) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source, av.open(buffer, "w", wanted.name) as target:
        told: dict[str, str] = {name: source.metadata[name] for name in _TELLING if name in source.metadata}
        target.metadata.update(told if wanted.metadata else {})
        if wanted.name == "webm":  # Matroska has no place for XMP but a tag
            target.metadata.update({"DIGITALSOURCETYPE": mark.uri, "XMP": mark.xmp().decode("ascii")})
        same = wanted.name in source.format.name.split(",")
        for packet in _copied(source, target) if same else _encoded(source, target, wanted.options):
            target.mux(packet)
    return buffer.getvalue()


def _copied(source: "InputContainer", target: "OutputContainer") -> Iterator[Any]:
    """Yield the packets as they are."""
    kept = {stream: target.add_stream_from_template(stream) for stream in _streams(source)}
    for packet in source.demux(*kept):
        if packet.dts is not None:  # the last one of a stream is empty
            packet.stream = kept[packet.stream]
            yield packet


def _encoded(source: "InputContainer", target: "OutputContainer", options: Mapping[str, Any]) -> Iterator[Any]:
    """Yield packets of the encoders of video and of sound, where there is any."""
    made = {stream: _encoder(stream, target, options) for stream in _streams(source)}
    for packet in source.demux(*made):
        frames: Sequence[Any] = packet.decode()
        for frame in frames:
            if packet.stream.type == "video":
                frame.pict_type = 0  # the encoder chooses its own
            yield from made[packet.stream].encode(frame)
    for stream in made.values():
        yield from stream.encode(None)


def _encoder(stream: Any, target: "OutputContainer", options: Mapping[str, Any]) -> Any:
    if stream.type == "audio":
        sound: Any = target.add_stream(options["sound"], rate=_RATE)
        sound.layout = "mono" if stream.layout.nb_channels == 1 else "stereo"
        return sound
    encoder: Any = target.add_stream(options["codec"], rate=stream.average_rate, options=dict(options["settings"]))
    encoder.width, encoder.height, encoder.pix_fmt = stream.width, stream.height, "yuv420p"
    return encoder


def _streams(source: "InputContainer") -> list["Stream"]:
    """Return the first stream of video, and of sound where there is one. Raises IndexError without video."""
    return [source.streams.video[0], *source.streams.audio[:1]]
