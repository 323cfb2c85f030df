"""The last part of an artifact's URL: its number, and perhaps the extension of its file, as in `0.png`."""

from dataclasses import dataclass
from typing import Final, Self

MAX_DIGITS: Final = 4
_SPELLINGS: Final = (("jpg", "jpeg"),)  # of one format


@dataclass(frozen=True)
class ArtifactName:
    """`extension` is None where the name has none."""

    number: int
    extension: str | None = None

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return None for what is no name of an artifact."""
        number, dot, extension = text.partition(".")
        if not (number.isascii() and number.isdigit() and len(number) <= MAX_DIGITS):
            return None
        return cls(int(number), extension if dot else None)

    def fits(self, extension: str) -> bool:
        """Return whether the name may be that of a file with this extension."""
        same = next((group for group in _SPELLINGS if extension in group), (extension,))
        return self.extension is None or self.extension in same
