"""Checks the tokenizers of a loaded pipeline, because libraries load one without its vocabulary and say nothing."""

from itertools import combinations
from typing import Any, Final

from services.common.errors import ModelUnavailable

# Words and letters are as many in each, so that a tokenizer to which all words are unknown gives them the same ids.
PROMPTS: Final = ("red mug", "tan cup", "old box")


def check_tokenizers(pipeline: Any, where: str) -> None:
    """Raise ModelUnavailable for a tokenizer that tells prompts not apart, or that the text encoder is not made for."""
    components = pipeline.components
    for name, tokenizer in components.items():
        if not name.startswith("tokenizer") or tokenizer is None:
            continue
        ids = [list(tokenizer(prompt).input_ids) for prompt in PROMPTS]
        if any(one == other for one, other in combinations(ids, 2)):
            raise ModelUnavailable(
                f"{where}/{name} has no vocabulary: {PROMPTS[0]!r} and {PROMPTS[1]!r} become the same ids; "
                f"download that folder again, with tokenizer.json, or vocab.json and merges.txt, or spiece.model"
            )
        encoder = components.get(name.replace("tokenizer", "text_encoder"))
        known = _embeddings(encoder)
        if known is not None and (largest := max(map(max, ids))) >= known:
            raise ModelUnavailable(
                f"{where}/{name} belongs to another model: it gives the id {largest}, "
                f"and {name.replace('tokenizer', 'text_encoder')} knows ids below {known}; download both folders again"
            )


def _embeddings(encoder: Any) -> int | None:
    """Return how many ids a text encoder knows, or None where it does not say it."""
    if not hasattr(encoder, "get_input_embeddings"):
        return None
    count = getattr(encoder.get_input_embeddings(), "num_embeddings", None)
    return count if isinstance(count, int) else None
