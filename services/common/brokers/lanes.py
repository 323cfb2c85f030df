"""The names of a model's two lanes, in queues and routing keys."""

from typing import Final

BULK_SUFFIX: Final = "_bulk"  # no model has an underscore in its name


def lane_of(model: str, *, bulk: bool) -> str:
    """Return the name of one lane of the model."""
    return model + BULK_SUFFIX if bulk else model


def model_of(lane: str) -> str:
    """Return the model that a lane belongs to."""
    return lane.removesuffix(BULK_SUFFIX)
