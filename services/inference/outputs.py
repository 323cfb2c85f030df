"""What an adapter returns, before it is stored. Encoding happens outside the model thread."""

import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from PIL.Image import Image


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
    # Measured: level 1 takes a quarter less time than 4, and what it costs in bytes is little next to a photo.
    compress_level: int = field(default=1, kw_only=True)

    def encode(self, metadata: dict[str, str]) -> Encoded:
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        for key, value in metadata.items():
            info.add_itxt(key, value)
        buffer = io.BytesIO()
        self.image.save(buffer, "PNG", pnginfo=info, compress_level=self.compress_level)
        return Encoded(buffer.getvalue(), "image/png", "png", self.image.width, self.image.height)
