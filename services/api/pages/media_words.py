"""The words of the pages for what a model makes: a photo, a recording, a film or a text."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.common.modalities.modality import Media, Modality


@dataclass(frozen=True)
class MediaWords:
    """`question` stands above the box for words, `hint` in it, and `empty` beside it when nothing was typed.

    `only_file` is the question where a file says all. `symbol` is the drawing in the layout that stands for one.
    """

    thing: str
    things: str
    question: str
    hint: str
    empty: str
    only_file: str
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
        only_file="Which picture do we work on?",
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
        only_file="Which recording do we work on?",
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
        only_file="What do we make a film of?",
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
        only_file="What shall we write down?",
        button="Write it",
        again="Write it again",
        symbol="text-lines",
    ),
}


def words_of(modality: Modality | None) -> MediaWords:
    """Return the words for a modality; those of images for one that is not known any more."""
    return _WORDS[modality.makes if modality else Media.IMAGE]
