"""Checks the tokenizers of a loaded pipeline, because libraries load one without its vocabulary and say nothing."""

from itertools import chain, combinations
from pathlib import Path
from typing import Any, Final

from services.common.errors import ModelUnavailable

# Words and letters are as many in each, so that a tokenizer to which all words are unknown gives them the same ids.
PROMPTS: Final = ("red mug", "tan cup", "old box")
_UNMADE: Final = 2 * 256 + 64  # no merge makes these: each byte, inside and at the end of a word, and special tokens
_UNLIMITED: Final = 100_000  # transformers gives a tokenizer without a limit one of 1e30


def check_tokenizers(pipeline: Any, folder: Path) -> None:
    """Raise ModelUnavailable for a tokenizer without its vocabulary, or that the text encoder is not made for."""
    components = pipeline.components
    for name, tokenizer in components.items():
        if name.startswith("tokenizer") and tokenizer is not None:
            encoder = name.replace("tokenizer", "text_encoder")
            _check_ids(folder / name, tokenizer, encoder, _embeddings(components.get(encoder)))
            _check_files(folder / name, tokenizer, encoder, components.get(encoder))


def _check_ids(place: Path, tokenizer: Any, encoder: str, known: int | None) -> None:
    """Raise ModelUnavailable for ids that do not tell prompts apart, or that an `encoder` of `known` ids has not."""
    ids = [list(tokenizer(prompt).input_ids) for prompt in PROMPTS]
    if any(one == other for one, other in combinations(ids, 2)):
        raise ModelUnavailable(
            f"{place} has no vocabulary: {PROMPTS[0]!r} and {PROMPTS[1]!r} become the same ids; "
            f"download that folder again, with tokenizer.json, or vocab.json and merges.txt, or spiece.model"
        )
    largest = max(chain.from_iterable(ids))
    if known is not None and largest >= known:
        raise ModelUnavailable(
            f"{place} belongs to another model: it gives the id {largest}, and {encoder} knows ids below {known}; "
            f"download both folders again"
        )


def _check_files(place: Path, tokenizer: Any, name: str, encoder: Any) -> None:
    """Raise ModelUnavailable for files without which a tokenizer is loaded, and cannot be used as it should be."""
    tokens = getattr(getattr(encoder, "config", None), "max_position_embeddings", None)
    config = place / "tokenizer_config.json"
    if tokens is not None and tokenizer.model_max_length > _UNLIMITED and not config.is_file():
        raise ModelUnavailable(
            f"{config} is missing, so no prompt would be cut to the {tokens} tokens that {name} reads; "
            f"download that folder again"
        )
    merges = place / "merges.txt"
    if merges.is_file() and not (place / "tokenizer.json").is_file():
        least = len(tokenizer.get_vocab()) - len(tokenizer.get_added_vocab()) - _UNMADE
        lines = merges.read_text(encoding="utf-8").split("\n")
        if (count := sum(bool(line.strip()) and not line.startswith("#version") for line in lines)) < least:
            raise ModelUnavailable(f"{merges} is cut: it has {count} of at least {least} merges; download it again")


def _embeddings(encoder: Any) -> int | None:
    """Return how many ids a text encoder knows, or None where it does not say it."""
    try:
        count = getattr(encoder.get_input_embeddings(), "num_embeddings", None)
    except (AttributeError, NotImplementedError):
        return None
    return count if isinstance(count, int) else None
