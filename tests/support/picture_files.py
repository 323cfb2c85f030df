"""Pictures and sounds as clients send them, in many formats."""

import io
import math
import struct
from typing import Any

from PIL import Image

from tests.support.sounds import wav_of


def picture(size: tuple[int, int] = (64, 32), mode: str = "RGB") -> Image.Image:
    """Return a picture whose left half is red and whose right half is blue."""
    image = Image.new("RGB", size, (200, 30, 30))
    image.paste((30, 30, 200), (size[0] // 2, 0, *size))
    return image.convert(mode)


def encoded(image: Image.Image, format: str = "png", **options: Any) -> bytes:
    """Return the picture in this format; the options are Pillow's."""
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    """Return the decoded picture."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


def tone(seconds: float, rate: int = 8000) -> bytes:
    """Return a sine of 440 Hz as WAV."""
    samples = (int(9000 * math.sin(2 * math.pi * 440 * at / rate)) for at in range(int(seconds * rate)))
    return wav_of(b"".join(struct.pack("<h", sample) for sample in samples), rate)
