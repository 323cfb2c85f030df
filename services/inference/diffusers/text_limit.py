"""The length of text that a pipeline reads, and the cut of a text that is longer.

A pipeline cuts the end of a longer text by itself, and with it the words of the look, which stand behind the product.
Here the words of the look stay, and the client's own are cut.
"""

import inspect
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self, cast

from services.common.modalities.images import ImageParams
from services.inference.runtime.adapter import Item

_TOKENIZERS: Final = ("tokenizer", "tokenizer_2", "tokenizer_3", "tokenizer_4")
_UNKNOWN: Final = 100_000  # transformers gives a tokenizer without a limit one of 1e30
_LONG_WORD: Final = 30  # letters; what is longer is text of a script without spaces, and is cut inside
_JOINER: Final = "\u200d"  # makes one letter, or one emoji, of two


@dataclass(frozen=True)
class CutText:
    """`cut` are the client's words that `text` lacks. It `fits`, unless the look's words alone are too long."""

    text: str
    cut: str = ""
    fits: bool = True


@dataclass(frozen=True)
class TextLimit:
    """At most `tokens` of `tokenizer`, the marks for begin and end included."""

    tokenizer: Any
    tokens: int

    @classmethod
    def of(cls, pipeline: Any) -> Self | None:
        """Return the limit of the text encoder that reads most; None where the pipeline names none."""
        named = (getattr(pipeline, name, None) for name in _TOKENIZERS)
        limits = [cls(tokenizer, _tokens(pipeline, tokenizer)) for tokenizer in named if tokenizer is not None]
        limits = [limit for limit in limits if limit.tokens < _UNKNOWN]
        return max(limits, key=lambda limit: limit.tokens, default=None)

    def cut(self, text: str, own: str) -> CutText:
        """Cut the client's `own` words, which are a part of `text`, at a space and so that `text` fits."""
        if self._fits(text):
            return CutText(text)
        if not own or own not in text:
            return CutText(text, fits=False)
        before, _, after = text.partition(own)

        def fits(end: int) -> bool:
            return self._fits(before + own[:end] + after)

        end = _longest(list(_ends(own)), fits) or _longest(list(_letters(own, 0, len(own))), fits)
        if end is None:
            return CutText(text, fits=False)
        return CutText(before + own[:end] + after, own[end:].strip())

    def _fits(self, text: str) -> bool:
        return len(self.tokenizer(text, truncation=False).input_ids) <= self.tokens


@dataclass(frozen=True)
class Texts:
    """The texts of one item as a pipeline gets them."""

    prompt: CutText
    negative_prompt: CutText

    @classmethod
    def of(cls, item: Item, limit: TextLimit | None) -> Self:
        """Return the item's texts, cut where they are longer than `limit`."""
        params = cast("ImageParams", item.params)
        if limit is None:
            return cls(CutText(item.prompt), CutText(item.negative_prompt))
        own = params.negative_prompt or ""
        return cls(limit.cut(item.prompt, params.prompt), limit.cut(item.negative_prompt, own))


def _ends(text: str) -> Iterator[int]:
    """Yield where the text may end: behind each word, and inside long ones."""
    for word in re.finditer(r"\S+", text):
        long = word.end() - word.start() > _LONG_WORD
        yield from _letters(text, *word.span()) if long else (word.end(),)


def _letters(text: str, start: int, end: int) -> Iterator[int]:
    """Yield the ends of the letters from `start` to `end`, each with the marks that belong to it."""
    for place in range(start + 1, end + 1):
        following = text[place : place + 1]
        joined = following == _JOINER or text[place - 1] == _JOINER
        if not following or not (joined or unicodedata.category(following).startswith("M")):
            yield place


def _longest(ends: Sequence[int], fits: Callable[[int], bool]) -> int | None:
    """Return the last of `ends` that fits, where those before it fit as well."""
    place = bisect_left(ends, 1, key=lambda end: 0 if fits(end) else 1)
    return ends[place - 1] if place else None


def _tokens(pipeline: Any, tokenizer: Any) -> int:
    """Return how many tokens the pipeline lets this tokenizer make: CLIP's own limit, else that of the call."""
    own = int(tokenizer.model_max_length)
    asked = inspect.signature(pipeline.__call__).parameters.get("max_sequence_length")
    of_call = None if asked is None else asked.default
    return own if "CLIP" in type(tokenizer).__name__ or not isinstance(of_call, int) else of_call
