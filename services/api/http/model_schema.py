"""The JSON Schema of one model's parameters: its modality's, narrowed by the model's limits and defaults."""

from copy import deepcopy
from functools import cache
from typing import Any

from pydantic import BaseModel

from services.common.catalogue.catalogue import Catalogue, Model
from services.common.modalities.limits import value_schema


def model_schema(model: Model, catalogue: Catalogue) -> dict[str, Any]:
    """Return an object schema. The model accepts what it allows, except for a rule that joins several parameters.

    A client can build its form from it, as the page does.
    """
    schema = deepcopy(_schema(model.contract.params))
    properties: dict[str, Any] = schema["properties"]
    model.limits.narrow(properties)
    if "style" in properties:
        value_schema(properties["style"])["enum"] = list(catalogue.styles)
    for name, value in model.defaults.items():
        if name in properties:
            properties[name]["default"] = value
    return schema


@cache
def _schema(params: type[BaseModel]) -> dict[str, Any]:
    """Return a cached schema: generating one takes longer than the rest of a page."""
    return params.model_json_schema()
