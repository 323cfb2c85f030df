"""The amount of work in a job's parameters, as far as its time depends on it."""

from collections.abc import Mapping


def size_of(params: Mapping[str, object]) -> str:
    """Return the size that decides, with the steps, how long one item takes."""
    return f"{params.get('width')}x{params.get('height')}"


def steps_of(params: Mapping[str, object]) -> int:
    return _number(params.get("steps"))


def count_of(params: Mapping[str, object]) -> int:
    """Return how many items the job asks for."""
    return _number(params.get("num_images"))


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1
