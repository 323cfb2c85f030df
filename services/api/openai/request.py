"""What the bodies of all OpenAI's routes have in common: a null counts as left out, and nothing is ignored unsaid."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import no_info_after_validator_function

from services.api.http.endpoint import JsonSchema
from services.common.catalogue.catalogue import refusal_of

_BLANK: Final = r"^[ \t\r\n]*$"


@dataclass(frozen=True)
class Blank:
    """Annotates a text that would ask for something which is not done, so that it must be empty; `why` tells."""

    why: str

    def __get_pydantic_core_schema__(self, source: type[Any], handler: GetCoreSchemaHandler) -> CoreSchema:
        return no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> JsonSchema:
        return {"type": "string", "pattern": _BLANK}

    def _checked(self, text: str) -> str:
        if re.match(_BLANK, text) is None:
            raise PydanticCustomError("blank", "{why}", {"why": self.why})
        return text


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
