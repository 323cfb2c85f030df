"""The limits of one model, within those of its modality: a catalogue entry may narrow them, and never widens them."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

Properties = dict[str, Any]  # of a JSON Schema


class Limits(BaseModel):
    """The limits of a modality that has none to narrow, and the base of those of the others."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    def faults(self, params: Mapping[str, Any]) -> Iterator[tuple[str, str]]:  # noqa: ARG002 - none, whatever is asked
        """Yield the name of each parameter beyond these limits, and what is allowed."""
        yield from ()

    def narrow(self, properties: Properties) -> None:
        """Narrow the JSON Schema of the parameters to these limits."""


def value_schema(schema: Properties) -> Properties:
    """Return the part of a property's schema that is not null."""
    parts: list[Properties] = schema.get("anyOf", [schema])
    return next(part for part in parts if part.get("type") != "null")


def narrow_number(
    properties: Properties, name: str, least: int | None = None, most: int | None = None, step: int | None = None
) -> None:
    """Narrow the schema of the number `name`."""
    value = value_schema(properties[name])
    if least is not None:
        value["minimum"] = max(least, value["minimum"])
    if most is not None:
        value["maximum"] = min(most, value["maximum"])
    if step is not None:
        value["multipleOf"] = math.lcm(step, value["multipleOf"])
