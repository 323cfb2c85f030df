"""Stored images in other formats and sizes, by Pillow."""

import io
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from services.api.core.formats.file_format import FileFormat
from services.common.errors import InvalidRequest
from services.common.provenance import png
from services.common.provenance.mark import Mark

if TYPE_CHECKING:
    from PIL import Image

_SOFTWARE, _EXIF, _USER_COMMENT = 0x0131, 0x8769, 0x9286  # tags of EXIF 2.32, sections 4.6.4 and 4.6.5
_PARAMETERS: Final = "parameters"  # the text of a PNG with all settings in it


def converted(data: bytes, wanted: FileFormat, mark: Mark) -> bytes:
    """Return the image in this format, with the mark. Raises InvalidRequest for a file that is no image."""
    from PIL import Image

    try:
        if wanted.name == "png" and wanted.side is None and not wanted.metadata:
            return png.bare(data, mark.xmp())
        with Image.open(io.BytesIO(data)) as stored:
            made_how = {str(name): value for name, value in stored.info.items() if isinstance(value, str)}
            profile = stored.info.get("icc_profile") if stored.mode in ("RGB", "RGBA") else None
            image = _coloured(stored, wanted)
        if wanted.side is not None:
            image.thumbnail((wanted.side, wanted.side))
    except (OSError, ValueError) as exc:
        detail = "this artifact is no image that can be converted: fetch it without `format` and `max_side`"
        raise InvalidRequest([{"pointer": "/format", "detail": detail, "got": wanted.name}]) from exc
    made_how.pop(png.XMP, None)
    image.info = {} if profile is None else {"icc_profile": profile}
    return _encoded(image, wanted, made_how if wanted.metadata else {}, mark)


def _encoded(image: "Image.Image", wanted: FileFormat, made_how: Mapping[str, str], mark: Mark) -> bytes:
    from PIL.PngImagePlugin import PngInfo

    buffer = io.BytesIO()
    options = {**wanted.options, **({} if wanted.quality is None else {"quality": wanted.quality})}
    if wanted.name == "png":
        options["pnginfo"] = info = PngInfo()
        info.add_itxt(png.XMP, mark.xmp().decode("ascii"))
        for name, value in made_how.items():
            info.add_text(name, value)  # as Latin-1 where that can hold it
    else:
        options["xmp"] = mark.xmp()
        if made_how:
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


def _coloured(stored: "Image.Image", wanted: FileFormat) -> "Image.Image":
    """Return the image in red, green and blue, and with its transparency where the format has any, else on white."""
    from PIL import Image

    if not stored.has_transparency_data:
        return stored.convert("RGB")
    image = stored.convert("RGBA")
    if wanted.transparent:
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
