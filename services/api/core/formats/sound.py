"""Stored sound in other formats, by PyAV, which carries FFmpeg's encoders."""

import io
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from services.api.core.formats.file_format import FileFormat, telling_faults
from services.common.provenance import mp4, wave
from services.common.provenance.mark import Mark

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer

_XMP_TAGS: Final = {"mp3": "id3v2_priv.XMP", "opus": "XMP", "flac": "XMP"}  # FFmpeg's names


def converted(data: bytes, wanted: FileFormat, mark: Mark) -> bytes:
    """Return the sound in this format, with the mark.

    Raises InvalidRequest for a file that is no sound, and FormatUnavailable without PyAV.
    """
    is_wave = data[8:12] == b"WAVE"
    with telling_faults("sound", wanted):
        if is_wave and wanted.name == "wav":
            return wave.bare(data, mark.xmp())
        tags = _tags(wave.facts_in(data) if is_wave and wanted.metadata else {}, wanted, mark)
        made = _encoded(data, wanted, tags)
    if wanted.name == "aac":
        return mp4.with_xmp(made, mark.xmp())
    return wave.with_xmp(made, mark.xmp()) if wanted.name == "wav" else made


def _tags(facts: Mapping[str, str], wanted: FileFormat, mark: Mark) -> dict[str, str]:
    """Return the texts of the file: how it was made, as a comment, and the mark where a text is its place.

    MP3 has XMP in a frame of its own (XMP specification, part 3, section 2.3.3). Ogg and FLAC have no place for it but
    a comment, beside one that people can read.
    """
    tags = {"comment": json.dumps(facts, ensure_ascii=False)} if facts else {}
    if place := _XMP_TAGS.get(wanted.name):
        tags |= {"DIGITALSOURCETYPE": mark.uri, place: mark.xmp().decode("ascii")}
    return tags


def _encoded(data: bytes, wanted: FileFormat, tags: Mapping[str, str]) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(io.BytesIO(data), "r") as source, av.open(buffer, "w", wanted.options["container"]) as target:
        target.metadata.update(tags)
        for packet in _packets(source, target, wanted.options):
            target.mux(packet)
    return buffer.getvalue()


def _packets(source: "InputContainer", target: "OutputContainer", options: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the encoded sound. The stream of the encoder resamples it where the encoder needs that."""
    stored = source.streams.audio[0]
    stream: AudioStream = target.add_stream(
        options["codec"], rate=options.get("rate") or _rate(options["codec"], stored.rate)
    )
    channels = options.get("channels") or min(2, stored.layout.nb_channels)
    stream.layout = "mono" if channels == 1 else "stereo"  # a WAV need not name its layout
    if options["bit_rate"]:
        stream.bit_rate = options["bit_rate"] * channels
    for frame in source.decode(stored):
        yield from stream.encode(frame)
    yield from stream.encode(None)


def _rate(codec: str, rate: int) -> int:
    """Return the samples a second that this encoder takes: those of the sound, or the next higher rate that it knows.

    Opus knows five rates, none of them that of a CD (RFC 6716, section 2).
    """
    import av

    known = sorted(av.Codec(codec, "w").audio_rates or [rate])
    return next((each for each in known if each >= rate), known[-1])
