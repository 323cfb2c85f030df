"""The JSON Schema of one model's parameters: its modality's, narrowed by the model's limits and defaults."""

import math
from copy import deepcopy
from functools import cache
from typing import Any

from services.common.catalogue.catalogue import Catalogue, Model
from services.common.params import PARAMS, Modality


def model_schema(model: Model, catalogue: Catalogue) -> dict[str, Any]:
    """Return an object schema. The model accepts what it allows, except for the rule that joins width and height.

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
    """Return the part of a property's schema that is not null."""
    parts: list[dict[str, Any]] = schema.get("anyOf", [schema])
    return next(part for part in parts if part.get("type") != "null")


@cache
def _schema(modality: Modality) -> dict[str, Any]:
    """Return a cached schema: generating one takes longer than the rest of a page."""
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
