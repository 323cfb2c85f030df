"""The script of a text: the sounds that a voice is given, in parts that bound what one run of its network holds."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from hibari import Hibari

MOST_SOUNDS: Final = 400  # in one part at the usual speed: half a minute. The voices learned on no longer ones.
# hibari's rules for one word take time with the cube of its length: ten minutes for 5000 characters without a space.
_OVERLONG: Final = re.compile(r"\S{30}(?=\S)")
_PAUSES: Final = ",;:—"
_MARKS: Final = '.,;:!?…"“”()'
_SPOKEN: Final = ("L", "N", "S")  # letters, numbers, and symbols such as emoji; other marks are silent


@dataclass(frozen=True)
class Script:
    """The parts of a text, mostly sentences, as phonemes, and the words that the voice has no sound for."""

    parts: Sequence[str]
    unsaid: Sequence[str]

    @classmethod
    def of(cls, text: str, voice: "Hibari", speed: float) -> "Script":
        """Return the script of `text`. Slow speech has shorter parts, so that none lasts longer than at speed 1."""
        parts: list[str] = []
        unsaid: dict[str, None] = {}
        for sentence in voice.split_sentences(_OVERLONG.sub(r"\g<0> ", text)):
            words = sentence.split()
            if not (sounds := _read(sentence, voice)):
                sounds = " ".join(_read(word, voice) for word in words)
            parts += _parts(sounds, max(1, int(MOST_SOUNDS * min(1.0, speed))))
            unsaid |= dict.fromkeys(word.strip(_MARKS) for word in words if _is_unsaid(word, voice))
        return cls(parts, list(unsaid))


def _read(text: str, voice: "Hibari") -> str:
    """Return the phonemes of a text, "" for one that hibari's rules trip over, as over a capital I with a dot."""
    try:
        return str(voice.g2p(text))
    except (TypeError, ValueError, LookupError):
        return ""


def _is_unsaid(word: str, voice: "Hibari") -> bool:
    """True if a word that has a sound makes none here. ASCII always makes one, and each other word costs a ms."""
    if word.isascii() or not any(unicodedata.category(mark).startswith(_SPOKEN) for mark in word):
        return False
    return not any(sound.isalpha() for sound in _read(word, voice))


def _parts(sounds: str, most: int) -> Iterator[str]:
    """Cut a sentence at its pauses, else between words, and within a word only if that alone is too long."""
    while len(sounds) > most:
        head = sounds[:most]
        end = max(head.rfind(pause) for pause in _PAUSES) + 1 or head.rfind(" ") + 1 or most
        yield head[:end].strip()
        sounds = sounds[end:].strip()
    if sounds:
        yield sounds
