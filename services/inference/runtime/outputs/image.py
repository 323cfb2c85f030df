"""Images, stored as PNG, and the small ones that show how far an image is."""

import io
import zlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from services.inference.runtime.outputs.output import Encoded

if TYPE_CHECKING:
    from PIL.Image import Image

PREVIEW_SIDE: Final = 256  # pixels, the longer one
_MOST_ENLARGED: Final = 4  # times: larger shows no more, and encoding would cost more than making the preview
_QUALITY: Final = 60


@dataclass(frozen=True)
class ImageOutput:
    """An image, stored as PNG. The metadata become its text chunks."""

    image: "Image"
    # zlib looks for runs only (RLE), at level 1: a plain background is made of runs, and a search for other matches
    # takes longer without making such images smaller. Lossless WebP gains too little for a format fewer tools read.
    compress_level: int = field(default=1, kw_only=True)

    def encode(self, metadata: dict[str, str]) -> Encoded:
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        for key, value in metadata.items():
            # As Latin-1 where that can hold it: some tools read no other text.
            info.add_text(key, value)
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
