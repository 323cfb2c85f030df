"""Renditions of stored images: another file format, a smaller size or without metadata, made on request, not kept."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from services.api.core.fair_shares import FairShares
from services.api.core.png_chunks import without_metadata
from services.common.errors import InvalidRequest, TooBusy
from services.common.schemas import Artifact

if TYPE_CHECKING:
    from PIL import Image

SECONDS: Final = 10.0  # for one image, waiting for its turn included
THREADS: Final = 2  # at a time, so that the gateway has time for other requests
IN_HAND: Final = 8  # images at a time that are being read or wait for a thread: they are in memory

_SOFTWARE, _EXIF, _USER_COMMENT = 0x0131, 0x8769, 0x9286  # tags of EXIF 2.32, sections 4.6.4 and 4.6.5
_PARAMETERS: Final = "parameters"  # the text of a PNG with all settings in it


@dataclass(frozen=True)
class ImageFormat:
    """`options` are Pillow's, for an image that looks like the stored one; `side` is the longest side in pixels.

    `quality` replaces our own choice for lossy formats: 0 is the smallest file, 100 the best one. What is transparent
    becomes white where a format is not `transparent`. Without `metadata` the file does not say how the image was made.
    """

    name: str
    media_type: str
    extension: str
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
        """A name that tells this rendition from others of the same image."""
        parts = [self.name]
        parts += [] if self.side is None else [str(self.side)]
        parts += [] if self.quality is None else [f"q{self.quality}"]
        parts += [] if self.metadata else ["bare"]
        return "-".join(parts)


FORMATS: Final[Mapping[str, ImageFormat]] = {
    "png": ImageFormat("png", "image/png", "png"),
    "jpeg": ImageFormat("jpeg", "image/jpeg", "jpg", {"quality": 92, "subsampling": "4:4:4"}, transparent=False),
    "webp": ImageFormat("webp", "image/webp", "webp", {"quality": 90}),
}


def wanted_format(
    artifact: Artifact,
    name: str | None,
    side: int | None = None,
    quality: int | None = None,
    *,
    metadata: bool = True,
) -> ImageFormat | None:
    """Return the format asked for; None for the artifact as it is stored. Raises InvalidRequest with the choices."""
    if name is None and side is None and quality is None and metadata:
        return None
    own = next((each.name for each in FORMATS.values() if each.media_type == artifact.media_type), None)
    if name is None:
        name = own or "picture"
    allowed = sorted(FORMATS) if own else []
    if name not in allowed:
        offered = ", ".join(allowed) or "only as it is stored"
        detail = f"an artifact of {artifact.media_type} is not offered as {name[:40]!r}; it is offered: {offered}"
        raise InvalidRequest([{"pointer": "/format", "detail": detail, "got": name[:200], "allowed": allowed}])
    if not FORMATS[name].lossy:
        quality = None  # a lossless file has no quality to choose
    if name == own and side is None and quality is None and metadata:
        return None
    return replace(FORMATS[name], side=side, quality=quality, metadata=metadata)


class Renditions:
    """Opened by `open_renditions`."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads
        self._room = FairShares(IN_HAND)

    async def render(self, stored: AsyncIterator[bytes], wanted: ImageFormat, party: str) -> bytes:
        """Return the file in this format. The parties take turns.

        Raises TooBusy when too many wait, InvalidRequest for a file that is no image, and as `stored`.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(SECONDS), self._room.share(party, SECONDS):
                data = await whole(stored)
                return await loop.run_in_executor(self._threads, _rendition, data, wanted)
        except TimeoutError as exc:
            detail = "too many images are being converted just now: try again in a moment, or fetch it as it is stored"
            raise TooBusy(detail) from exc


@asynccontextmanager
async def open_renditions() -> AsyncIterator[Renditions]:
    """Run the threads while the block runs."""
    threads = ThreadPoolExecutor(THREADS, "renditions")
    try:
        yield Renditions(threads)
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


async def whole(stored: AsyncIterator[bytes]) -> bytes:
    """Return all chunks as one."""
    return b"".join([chunk async for chunk in stored])


def _rendition(data: bytes, wanted: ImageFormat) -> bytes:
    from PIL import Image

    try:
        if wanted.name == "png" and wanted.side is None and not wanted.metadata:
            return without_metadata(data)
        with Image.open(io.BytesIO(data)) as stored:
            made_how = {str(name): value for name, value in stored.info.items() if isinstance(value, str)}
            profile = stored.info.get("icc_profile") if stored.mode in ("RGB", "RGBA") else None
            image = _coloured(stored, wanted)
        if wanted.side is not None:
            image.thumbnail((wanted.side, wanted.side))
    except (OSError, ValueError) as exc:
        detail = "this artifact is no image that can be converted: fetch it without `format` and `max_side`"
        raise InvalidRequest([{"pointer": "/format", "detail": detail, "got": wanted.name}]) from exc
    image.info = {} if profile is None else {"icc_profile": profile}
    return _encoded(image, wanted, made_how if wanted.metadata else {})


def _encoded(image: "Image.Image", wanted: ImageFormat, made_how: Mapping[str, str]) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    buffer = io.BytesIO()
    options = {**wanted.options, **({} if wanted.quality is None else {"quality": wanted.quality})}
    if wanted.name == "png":
        options["pnginfo"] = info = PngInfo()
        for name, value in made_how.items():
            info.add_text(name, value)  # as Latin-1 where that can hold it
    elif made_how:
        options["exif"] = _exif(made_how)
    image.save(buffer, wanted.name, icc_profile=image.info.get("icc_profile"), **options)
    return buffer.getvalue()


def _exif(made_how: Mapping[str, str]) -> "Image.Exif":
    """Return how the image was made, in the one comment that EXIF has for texts.

    It is the text that other tools read, in the encoding that they expect. A file of an earlier version has no such
    text: then all its texts, as JSON.
    """
    from PIL import Image

    exif = Image.Exif()
    exif[_SOFTWARE] = made_how.get("software", "")
    if _PARAMETERS in made_how:
        comment = b"UNICODE\0" + made_how[_PARAMETERS].encode("utf-16-be")
    else:
        comment = b"ASCII\0\0\0" + json.dumps(dict(made_how)).encode("ascii")
    exif.get_ifd(_EXIF)[_USER_COMMENT] = comment
    return exif


def _coloured(stored: "Image.Image", wanted: ImageFormat) -> "Image.Image":
    """Return the image in red, green and blue, and with its transparency where the format has any, else on white."""
    from PIL import Image

    if not stored.has_transparency_data:
        return stored.convert("RGB")
    image = stored.convert("RGBA")
    if wanted.transparent:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
