"""What the bodies of all OpenAI's routes have in common: a null counts as left out, and nothing is ignored unsaid."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from services.api.http.endpoint import JsonSchema
from services.common.catalogue.catalogue import refusal_of


class OpenAIRequest(BaseModel):
    """The base of the bodies."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def of(cls, body: Mapping[str, Any]) -> Self:
        """Read the body. Raises InvalidRequest."""
        try:
            return cls.model_validate({name: value for name, value in body.items() if value is not None})
        except ValidationError as exc:
            raise refusal_of(exc, cls) from exc


def with_nulls(schema: JsonSchema) -> JsonSchema:
    """Return the schema of a body in which any field may be null, also one that is not named, but those required."""
    fields: dict[str, Any] = schema["properties"]
    for name in fields.keys() - set(schema["required"]):
        parts = [part for part in fields[name].get("anyOf", [fields[name]]) if part != {"type": "null"}]
        fields[name] = {"anyOf": [*parts, {"type": "null"}]}
    return {**schema, "additionalProperties": {"type": "null"}}
