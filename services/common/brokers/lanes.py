"""The names of a model's two lanes, in queues and routing keys."""

from typing import Final

BULK_SUFFIX: Final = "_bulk"  # no model has an underscore in its name


def lane_of(model: str, *, bulk: bool) -> str:
    """Return the name of one lane of the model."""
    return model + BULK_SUFFIX if bulk else model


def lanes_of(model: str, bulk: bool | None = None) -> tuple[str, ...]:
    """Return the names of both lanes of the model, or of that one."""
    return tuple(lane_of(model, bulk=each) for each in (False, True) if bulk in (None, each))


def is_bulk(lane: str) -> bool:
    """Return whether this is a model's bulk lane."""
    return lane.endswith(BULK_SUFFIX)


def model_of(lane: str) -> str:
    """Return the model that a lane belongs to."""
    return lane.removesuffix(BULK_SUFFIX)
