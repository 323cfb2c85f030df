"""The verdict of a pipeline's safety checker, which paints over what it withholds and draws on."""

from collections.abc import Sequence
from typing import Any, Final

_VERDICTS: Final = ("nsfw_content_detected", "nsfw_detected")  # of Stable Diffusion and its like; of DeepFloyd IF


def has_safety_checker(pipeline: Any) -> bool:
    return getattr(pipeline, "safety_checker", None) is not None


def withheld(result: Any, count: int) -> Sequence[bool]:
    """Return for each of the `count` images of a pipeline's result whether its safety checker withheld it."""
    for name in _VERDICTS:
        verdicts = getattr(result, name, None)
        if verdicts is not None:
            return [bool(verdict) for verdict in verdicts]
    return [False] * count
