"""Hostile and odd files, made small: what they do is in what they say of themselves."""

import io
import struct
import zlib
from typing import cast

from PIL import Image, ImageCms

from tests.support.picture_files import encoded, picture, tone

PNG = b"\x89PNG\r\n\x1a\n"


def png_of(width: int, height: int, *, depth: int = 8, colour: int = 2, rows: int | None = None) -> bytes:
    """Return a PNG that says it has this size, with as many rows of zeros (all of them by default)."""
    channels = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = b"\0" * (1 + (width * channels * depth + 7) // 8)
    packer = zlib.compressobj(9)
    data = b"".join(packer.compress(row) for _ in range(height if rows is None else rows)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return PNG + _chunk(b"IHDR", header) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def with_chunks(png: bytes, *chunks: tuple[bytes, bytes]) -> bytes:
    """Return the PNG with these chunks behind its header."""
    end = len(PNG) + 25
    return png[:end] + b"".join(_chunk(name, data) for name, data in chunks) + png[end:]


def text_bomb() -> bytes:
    """Return a PNG with a text of 200 MB, packed."""
    return with_chunks(encoded(picture()), (b"zTXt", b"bomb\0\0" + zlib.compress(b"\0" * 200_000_000, 9)))


def profile_bomb() -> bytes:
    """Return a PNG with a colour profile of 200 MB, packed."""
    return with_chunks(encoded(picture()), (b"iCCP", b"bomb\0\0" + zlib.compress(b"\0" * 200_000_000, 9)))


def jpeg_of(width: int, height: int) -> bytes:
    """Return a JPEG whose header says that it has this size, over the data of a small one."""
    data = bytearray(encoded(picture(), "jpeg"))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def progressive(size: tuple[int, int]) -> bytes:
    """Return a progressive JPEG in full colour: the whole of its coefficients are in memory beside its pixels."""
    return encoded(Image.new("RGB", size, (120, 30, 30)), "jpeg", progressive=True, subsampling="4:4:4", quality=50)


def gif_of(frames: int, size: tuple[int, int] = (64, 32)) -> bytes:
    """Return an animation, each frame another colour."""
    drawn = [Image.new("RGB", size, (index * 37 % 256, 80, 80)) for index in range(frames)]
    return encoded(drawn[0], "gif", save_all=True, append_images=drawn[1:])


def turned(orientation: int) -> bytes:
    """Return a JPEG with this EXIF orientation, a place and a camera."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = orientation, "Camera of Jane Doe"
    exif.get_ifd(0x8825)[2] = (52.0, 31.0, 12.0)
    return encoded(picture(), "jpeg", exif=exif)


def bad_exif() -> bytes:
    """Return a JPEG whose EXIF block is no EXIF."""
    return encoded(picture(), "jpeg", exif=b"Exif\0\0MM\0*" + b"\xff" * 200)


def in_display_p3() -> bytes:
    """Return a JPEG whose profile has other primaries than sRGB, so that its numbers mean other colours."""
    return encoded(picture(), "jpeg", icc_profile=wide_profile(), quality=100, subsampling="4:4:4")


def wide_profile() -> bytes:
    """Return an ICC profile of wider primaries, made of the one of sRGB."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    count = struct.unpack(">I", profile[128:132])[0]
    for entry in range(count):
        tag, at, _ = struct.unpack(">4sII", profile[132 + 12 * entry : 144 + 12 * entry])
        if tag == b"rXYZ":
            profile[at + 8 : at + 20] = struct.pack(">iii", *(int(value * 65536) for value in (0.6097, 0.3111, 0.0195)))
        if tag == b"gXYZ":
            profile[at + 8 : at + 20] = struct.pack(">iii", *(int(value * 65536) for value in (0.2053, 0.6257, 0.0609)))
        if tag == b"desc":
            profile[at : at + 60] = (
                profile[at : at + 60].replace(b"s\0R\0G\0B", b"w\0i\0d\0e").replace(b"sRGB", b"wide")
            )
    return bytes(profile)


def profile_of_other_space() -> bytes:
    """Return an RGB picture with the profile of another colour space."""
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    return encoded(picture(), "jpeg", icc_profile=lab)


def sixteen_bits() -> bytes:
    """Return a grey PNG of 16 bits from black to white."""
    ramp = Image.frombytes("I;16", (256, 1), b"".join(struct.pack("<H", value * 257) for value in range(256)))
    return encoded(ramp)


def wav_that_says(seconds: int) -> bytes:
    """Return a WAV of a tenth of a second whose header says that it lasts so long."""
    data = bytearray(tone(0.1))
    data[40:44] = struct.pack("<I", seconds * 16_000)
    return bytes(data)


def long_wav(seconds: int) -> bytes:
    """Return a WAV of silence at the lowest rate, eight bits a sample."""
    size = 100 * seconds
    fields = struct.pack("<IHHIIHH", 16, 1, 1, 100, 100, 1, 8)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + size)
        + b"WAVEfmt "
        + fields
        + b"data"
        + struct.pack("<I", size)
        + b"\x80" * size
    )


def as_audio(container: str, codec: str, seconds: float = 0.5) -> bytes:
    """Return a tone in this container; both names are FFmpeg's."""
    import av

    buffer = io.BytesIO()
    with av.open(io.BytesIO(tone(seconds, 48_000)), "r") as source, av.open(buffer, "w", container) as target:
        stream = cast("av.AudioStream", target.add_stream(codec, rate=48_000))
        for frame in source.decode(source.streams.audio[0]):
            frame.pts = None
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return buffer.getvalue()


def as_video() -> bytes:
    """Return a video of three frames as MP4."""
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", "mp4") as target:
        stream = target.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for _ in range(3):
            frame = av.VideoFrame.from_image(picture())  # type: ignore[no-untyped-call]
            target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return buffer.getvalue()


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
