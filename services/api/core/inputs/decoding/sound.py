"""Checks the header of a sound, and measures how long it is. Its bytes are kept as they came."""

from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.api.core.inputs.decoding.kinds import Kind
from services.api.core.inputs.decoding.order import Facts, Order, Refusal

if TYPE_CHECKING:
    from av.container import InputContainer

_CURE: Final = "the operator can install `commercial-studio-photos-generator[speech]`"


def take_sound(source: Path, kind: Kind, order: Order) -> Facts:
    """Return what the sound is. Raises Refusal for one without sound or with a video, for a damaged and a long one."""
    try:
        import av
    except ImportError as exc:
        raise Refusal("unsupported", f"this gateway takes no sounds, as it has no decoder for them; {_CURE}") from exc
    # An open file, and the format by name: a playlist would open other files, and addresses.
    try:
        with source.open("rb") as file, av.open(file, "r", kind.opener, metadata_errors="replace") as container:
            _check_streams(container, kind)
            seconds = _measured(container, order.max_seconds)
    except av.FFmpegError as exc:
        raise _damaged(kind, exc) from exc
    if seconds <= 0:
        raise Refusal("unreadable", f"the file begins like {kind.name} and has no sound in it")
    return Facts(source.name, kind.extension, seconds=round(seconds, 3))


def _check_streams(container: "InputContainer", kind: Kind) -> None:
    from av.stream import Disposition

    if any(not stream.disposition & Disposition.attached_pic for stream in container.streams.video):
        raise Refusal("unsupported", "the file is a video: send its sound alone")
    if not container.streams.audio:
        raise Refusal("unreadable", f"the file begins like {kind.name} and has no sound in it")


def _measured(container: "InputContainer", most: float) -> float:
    """Return the length in seconds by the packets, since a header may tell anything. Decodes the first one."""
    stream = container.streams.audio[0]
    first, end, total = None, 0.0, 0.0
    for packet in container.demux(stream):
        if packet.size == 0:  # the end
            continue
        if first is None:
            packet.decode()
        seconds = float((packet.duration or 0) * packet.time_base)
        begin = float(packet.pts * packet.time_base) if packet.pts is not None else end
        first = begin if first is None else first
        total += seconds
        end = max(end, begin + seconds)
        if max(end - first, total) > most:
            detail = f"the sound is longer than {most:g} seconds, the most taken: send a shorter one"
            raise Refusal("too-large", detail)
    return max(end - (first or 0.0), total)


def _damaged(kind: Kind, exc: Exception) -> Refusal:
    detail = f"the file begins like {kind.name} and cannot be decoded, so it is damaged or cut off: {str(exc)[:120]}"
    return Refusal("unreadable", detail)
