"""The codes of an input's warnings. Each tells of a part of the file that was not kept as it was sent."""

from collections.abc import Mapping
from typing import Final

FIRST_FRAME: Final = "first-frame"
PROFILE_IGNORED: Final = "profile-ignored"
COLOURS_GUESSED: Final = "colours-guessed"

INTAKE_WARNING_TITLES: Final[Mapping[str, str]] = {
    FIRST_FRAME: "The file has several pictures: the first one was taken",
    PROFILE_IGNORED: "The colour profile in the file cannot be used: the colours were taken for sRGB",
    COLOURS_GUESSED: "The picture is made of printing inks and does not say which: its colours were estimated",
}
