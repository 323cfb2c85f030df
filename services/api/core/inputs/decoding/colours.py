"""Brings a picture of any colours into red, green and blue of sRGB at 8 bits, with its transparency."""

import io
from typing import TYPE_CHECKING, Final

from services.api.core.inputs.decoding.order import Refusal, Warned
from services.api.core.inputs.intake_warnings import COLOURS_GUESSED, PROFILE_IGNORED

if TYPE_CHECKING:
    from PIL import Image, ImageCms

_SIXTEEN: Final = ("I;16", "I;16B", "I;16L", "I;16N")
_SCALE: Final = 1 / 257  # 65535 becomes 255
_SPACES: Final = {"L": "GRAY", "RGB": "RGB ", "RGBA": "RGB ", "CMYK": "CMYK"}  # as ICC profiles name them


def in_srgb(image: "Image.Image", icc: bytes | None, warnings: list[Warned]) -> "Image.Image":
    """Return the picture as RGB, or RGBA where any of it may be transparent; add to the warnings.

    Raises Refusal for 32 bits a channel, and for colours that no profile tells how to convert.
    """
    image = _eight_bits(image)
    profile = _profile(icc, image.mode, warnings)
    if profile is None:
        if image.mode == "CMYK":
            detail = "the picture is in CMYK without a usable profile, so its colours are estimates: send it as sRGB"
            warnings.append(Warned(COLOURS_GUESSED, detail))
        return _plain(image)
    return _converted(image, profile)


def _eight_bits(image: "Image.Image") -> "Image.Image":
    """Return the picture with 8 bits a channel, in one of the modes of `_SPACES`."""
    if image.mode in _SIXTEEN:
        return image.convert("I").point(lambda value: value * _SCALE + 0.5).convert("L")
    if image.mode in ("I", "F"):
        raise Refusal("unsupported", "the picture has 32 bits a channel: send it with 8 or 16")
    if image.mode in ("1", "L", "CMYK") and not image.has_transparency_data:
        return image.convert("L") if image.mode == "1" else image
    if image.mode in ("RGB", "RGBA") and (image.mode == "RGBA") == image.has_transparency_data:
        return image
    return _plain(image)


def _plain(image: "Image.Image") -> "Image.Image":
    wanted = "RGBA" if image.has_transparency_data else "RGB"
    if image.mode == wanted:
        return image
    try:
        return image.convert(wanted)
    except ValueError as exc:
        raise Refusal("unsupported", f"the picture is in {image.mode[:10]} colours: send it as RGB") from exc


def _profile(icc: bytes | None, mode: str, warnings: list[Warned]) -> "ImageCms.ImageCmsProfile | None":
    """Return the profile of the picture's colours; None where they are sRGB, or have no profile that can be used."""
    from PIL import ImageCms

    if not icc:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        space, name = profile.profile.xcolor_space, profile.profile.profile_description or ""
    except (OSError, ValueError, TypeError) as exc:
        warnings.append(Warned(PROFILE_IGNORED, f"the colour profile cannot be read: {str(exc)[:80]}"))
        return None
    if space != _SPACES[mode]:
        detail = f"the colour profile is for {space.strip()[:10]}, and the picture is in {mode}"
        warnings.append(Warned(PROFILE_IGNORED, detail))
        return None
    return None if space == "RGB " and "sRGB" in name else profile


def _converted(image: "Image.Image", profile: "ImageCms.ImageCmsProfile") -> "Image.Image":
    from PIL import ImageCms

    srgb = ImageCms.createProfile("sRGB")
    in_place = image.mode in ("RGB", "RGBA")
    try:
        made = ImageCms.profileToProfile(
            image,
            profile,
            srgb,
            renderingIntent=ImageCms.Intent.PERCEPTUAL,
            outputMode=image.mode if in_place else "RGB",
            inPlace=in_place,
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except ImageCms.PyCMSError as exc:
        raise Refusal("unreadable", f"the colour profile cannot be applied: {str(exc)[:80]}") from exc
    return image if made is None else made
