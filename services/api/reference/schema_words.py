"""Puts a JSON Schema into words, for a table that people read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

JsonSchema = Mapping[str, Any]


@dataclass(frozen=True)
class Member:
    """A member of an object; `refers` is the name of its schema, None where the schema has no name."""

    name: str
    kind: str
    refers: str | None
    required: bool
    about: str

    @classmethod
    def of(cls, name: str, schema: JsonSchema, *, required: bool) -> Self:
        parts = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
        kinds = [_kind(part) for part in parts]
        if len(parts) < len(schema.get("anyOf", [schema])):
            kinds.append("null")
        refers = next((named for part in parts if (named := _referred(part))), None)
        default = f"Default: {schema['default']}." if "default" in schema else ""
        return cls(name, " or ".join(kinds), refers, required, f"{schema.get('description', '')} {default}".strip())


def members(schema: JsonSchema) -> Iterable[Member]:
    """Return the members of an object; an empty list for any other schema."""
    required = schema.get("required", ())
    return [Member.of(name, each, required=name in required) for name, each in schema.get("properties", {}).items()]


def _kind(schema: JsonSchema) -> str:
    if name := _referred(schema):
        return f"list of {name}" if "items" in schema else name
    if "enum" in schema:
        return " | ".join(str(each) for each in schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    return f"{schema.get('format') or schema.get('type', 'anything')}{_limits(schema)}"


def _limits(schema: JsonSchema) -> str:
    words = []
    if "minimum" in schema or "maximum" in schema:
        words.append(f" {schema.get('minimum', '…')} to {schema.get('maximum', '…')}")
    if "multipleOf" in schema:
        words.append(f" in steps of {schema['multipleOf']}")
    if "maxLength" in schema:
        words.append(f" of up to {schema['maxLength']} characters")
    return "".join(words)


def _referred(schema: JsonSchema) -> str | None:
    reference = schema.get("$ref") or schema.get("items", {}).get("$ref")
    return reference.rpartition("/")[2] if reference else None
