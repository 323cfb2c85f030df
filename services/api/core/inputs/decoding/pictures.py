"""Decodes a picture within bounds, and encodes it again: upright, in sRGB, and with nothing else in the file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from services.api.core.inputs.decoding.colours import in_srgb
from services.api.core.inputs.decoding.kinds import Kind
from services.api.core.inputs.decoding.order import Facts, Order, Refusal, Warned
from services.api.core.inputs.intake_warnings import FIRST_FRAME

if TYPE_CHECKING:
    from PIL import Image

_ORIENTATION: Final = 0x0112  # the tag of EXIF 2.32, section 4.6.4
_JPEG_SIDE: Final = 65_500  # pixels, the most of the format
# Colours at full resolution, and so little loss that a second one does not show.
_JPEG: Final[dict[str, Any]] = {"format": "JPEG", "quality": 95, "subsampling": "4:4:4"}
# The fastest compression: a photo of 12 megapixels at the usual one takes three seconds.
_PNG: Final[dict[str, Any]] = {"format": "PNG", "compress_level": 1}


def take_picture(source: Path, kind: Kind, order: Order) -> Facts:
    """Write the picture beside its source. A lossy one without transparency becomes a JPEG, any other a PNG.

    Raises Refusal, MemoryError, and OSError for a disk that is full or a file longer than may be written.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the limit is ours, and is checked before decoding
    warnings: list[Warned] = []
    with _opened(source, kind) as image:
        _check_size(image, order.max_pixels)
        if image.format != "MPO" and getattr(image, "is_animated", False):  # an MPO has previews beside its photo
            warnings.append(Warned(FIRST_FRAME, "the file has several pictures: the first one was taken"))
        upright = _decoded(image)
        icc = image.info.get("icc_profile")
    made = in_srgb(upright, icc if isinstance(icc, bytes) else None, warnings)
    made.info = {}
    jpeg = kind.lossy and made.mode == "RGB" and max(made.size) <= _JPEG_SIDE
    extension = "jpg" if jpeg else "png"
    target = source.with_name(f"stored.{extension}")
    made.save(target, **(_JPEG if jpeg else _PNG))
    return Facts(target.name, extension, made.width, made.height, warnings=tuple(warnings))


def _opened(source: Path, kind: Kind) -> "Image.Image":
    from PIL import Image, features

    if kind.opener == "HEIF":
        _add_heif()
    if kind.opener == "AVIF" and not features.check("avif"):
        raise _no_decoder("AVIF")
    with _decoding(kind.name):
        return Image.open(source, formats=[kind.opener, *(["MPO"] if kind.opener == "JPEG" else [])])


def _check_size(image: "Image.Image", most: int) -> None:
    width, height = image.size
    if width * height > most:
        detail = f"the picture has {width} x {height} pixels, and {most} are the most taken: send a smaller one"
        raise Refusal("too-large", detail)


def _decoded(image: "Image.Image") -> "Image.Image":
    """Return the first frame with its orientation applied."""
    from PIL import Image

    turns = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_270,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_90,
    }
    with _decoding(image.format or "picture"):
        image.load()
    turn = turns.get(_orientation(image))
    return image if turn is None else image.transpose(turn)


def _orientation(image: "Image.Image") -> int:
    """Return the orientation of EXIF; 1, upright, where it cannot be read: browsers show such a picture as it is."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - a bad block raises anything, from struct.error to RecursionError
        return 1
    return value if isinstance(value, int) else 1


def _add_heif() -> None:
    try:
        from pi_heif import register_heif_opener
    except ImportError as exc:
        raise _no_decoder("HEIC") from exc
    register_heif_opener(thumbnails=False)


def _no_decoder(name: str) -> Refusal:
    extra = "; the operator can install `commercial-studio-photos-generator[heic]`" if name == "HEIC" else ""
    return Refusal("unsupported", f"this gateway has no decoder for {name}: send the picture as JPEG or PNG{extra}")


@contextmanager
def _decoding(name: str) -> Iterator[None]:
    """Refuse the file if the block fails in any way but for want of memory: decoders raise anything for bad bytes."""
    try:
        yield
    except MemoryError:
        raise
    except Exception as exc:
        detail = f"the file begins like {name} and cannot be decoded, so it is damaged or cut off: {str(exc)[:120]}"
        raise Refusal("unreadable", detail) from exc
