"""The JSON Schema of one model's parameters: its modality's, narrowed by what this model takes and does by default."""

import math
from copy import deepcopy
from functools import cache
from typing import Any

from services.common.catalogue import Catalogue, Model
from services.common.params import PARAMS, Modality


def model_schema(model: Model, catalogue: Catalogue) -> dict[str, Any]:
    """An object schema: what it allows the model takes, but for the rule that joins width and height.

    A client can build its form from it, as the page does.
    """
    schema = deepcopy(_schema(model.modality))
    properties: dict[str, Any] = schema["properties"]
    limits = model.limits
    for side in ("width", "height"):
        _narrow(properties, side, limits.min_side, limits.max_side, limits.multiple_of)
    _narrow(properties, "steps", most=limits.max_steps)
    _narrow(properties, "num_images", most=limits.max_images)
    if "style" in properties:
        value_schema(properties["style"])["enum"] = list(catalogue.styles)
    for name, value in model.defaults.items():
        if name in properties:
            properties[name]["default"] = value
    return schema


def value_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """The part of a property's schema that says what a value is, where the property may also be null."""
    parts: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return next(part for part in parts if part.get("type") != "null")


@cache
def _schema(modality: Modality) -> dict[str, Any]:
    """Generating one takes longer than all the rest of a page."""
    return PARAMS[modality].model_json_schema()


def _narrow(
    properties: dict[str, Any], name: str, least: int | None = None, most: int | None = None, step: int | None = None
) -> None:
    if name not in properties:
        return
    value = value_schema(properties[name])
    if least is not None:
        value["minimum"] = max(least, value["minimum"])
    if most is not None:
        value["maximum"] = min(most, value["maximum"])
    if step is not None:
        value["multipleOf"] = math.lcm(step, value["multipleOf"])
