"""The outputs and previews that an adapter makes, before they are stored. Both are encoded outside the model thread."""

import io
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image

PREVIEW_SIDE: Final = 256  # pixels, the longer one
_MOST_ENLARGED: Final = 4  # times: larger shows no more, and encoding would cost more than making the preview
_QUALITY: Final = 60


@dataclass(frozen=True)
class Encoded:
    """A file ready to be stored; `width` and `height` in pixels where it is a picture."""

    data: bytes
    media_type: str
    extension: str
    width: int | None = None
    height: int | None = None


class Output(Protocol):
    def encode(self, metadata: dict[str, str]) -> Encoded:
        """The bytes of the file, with `metadata` (how it was made) written into it where the format has a place."""


@dataclass(frozen=True)
class ImageOutput:
    """A picture, stored as PNG; the metadata become its text chunks."""

    image: "Image"
    # Measured with runs only (RLE) at level 1 against zlib's usual search at levels 1 and 6, 1024x1024: a picture with
    # grain takes 66 ms and 1.67 MB against 83 ms, 1.93 MB and 227 ms, 1.68 MB; a smooth one 51 ms and 1.43 MB
    # against 61 ms, 1.60 MB and 284 ms, 1.37 MB. Runs are what a plain background is made of, so they stay.
    # WebP without loss takes 25 ms and 1.73 MB for grain at its fastest, 258 ms and 1.42 MB as it usually is: no gain
    # that would be worth a format fewer tools read.
    compress_level: int = field(default=1, kw_only=True)

    def encode(self, metadata: dict[str, str]) -> Encoded:
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        for key, value in metadata.items():
            info.add_itxt(key, value)
        buffer = io.BytesIO()
        self.image.save(buffer, "PNG", pnginfo=info, compress_level=self.compress_level, compress_type=zlib.Z_RLE)
        return Encoded(buffer.getvalue(), "image/png", "png", self.image.width, self.image.height)


@dataclass(frozen=True)
class Preview:
    """A small image of what an item looks like so far. Only this module knows what kind of image it is."""

    image: "Image"

    def jpeg(self) -> bytes:
        """Return a JPEG file of at most PREVIEW_SIDE pixels a side. Raise any exception for what is no image."""
        from PIL import Image

        scale = min(_MOST_ENLARGED, PREVIEW_SIDE / max(self.image.size))
        size = max(1, round(self.image.width * scale)), max(1, round(self.image.height * scale))
        buffer = io.BytesIO()
        self.image.convert("RGB").resize(size, Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=_QUALITY)
        return buffer.getvalue()
