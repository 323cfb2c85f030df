"""How much work a job's parameters ask for, as far as that shows in how long it takes."""

from collections.abc import Mapping


def size_of(params: Mapping[str, object]) -> str:
    """What, beside its steps, decides how long one thing takes."""
    return f"{params.get('width')}x{params.get('height')}"


def steps_of(params: Mapping[str, object]) -> int:
    return _number(params.get("steps"))


def count_of(params: Mapping[str, object]) -> int:
    """How many things the job asks for."""
    return _number(params.get("num_images"))


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 1
