"""The words of the pages for what a model makes: a photo, a recording, a film or a text."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from services.common.modalities.modality import Media, Modality


@dataclass(frozen=True)
class MediaWords:
    """`question` is the first page's headline, above the box for words where a model reads any.

    `hint` stands in that box, and `empty` beside it when nothing was typed. `symbol` is the drawing in the layout that
    stands for what is made.
    """

    thing: str
    things: str
    question: str
    hint: str
    empty: str
    button: str
    again: str
    symbol: str


_WORDS: Final[Mapping[Media, MediaWords]] = {
    Media.IMAGE: MediaWords(
        thing="photo",
        things="photos",
        question="What are we photographing?",
        hint="A product, in a few words",
        empty="Say what to photograph",
        button="Take the photo",
        again="New variation",
        symbol="still-life",
    ),
    Media.AUDIO: MediaWords(
        thing="recording",
        things="recordings",
        question="What shall we say?",
        hint="A sentence or two",
        empty="Type what to say",
        button="Say it",
        again="Say it again",
        symbol="sound-wave",
    ),
    Media.VIDEO: MediaWords(
        thing="film",
        things="films",
        question="What shall we film?",
        hint="A scene, in a few words",
        empty="Say what to film",
        button="Make the film",
        again="New take",
        symbol="still-life",
    ),
    Media.TEXT: MediaWords(
        thing="text",
        things="texts",
        question="What shall we write about?",
        hint="A question, or what to write",
        empty="Say what to write about",
        button="Write it",
        again="Write it again",
        symbol="text-lines",
    ),
}


# The question and the button where files say all.
_FROM_FILES: Final[Mapping[Media, tuple[str, str]]] = {
    Media.IMAGE: ("Which picture do we work on?", "Make the picture"),
    Media.AUDIO: ("Which recording do we work on?", "Make the recording"),
    Media.VIDEO: ("What do we make a film of?", "Make the film"),
    Media.TEXT: ("What shall we write down?", "Write it down"),
}


def words_of(modality: Modality | None) -> MediaWords:
    """Return the words for a modality; those of images for one that is not known any more."""
    if modality is None:
        return _WORDS[Media.IMAGE]
    words = _WORDS[modality.makes]
    if modality.subject:
        return words
    question, button = _FROM_FILES[modality.makes]
    return replace(words, question=question, button=button)
