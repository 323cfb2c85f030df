"""One field of a form, built from a property of a JSON Schema: a parameter that is new needs no other words here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from services.api.http.model_schema import value_schema

_KINDS: Final = {"string": "text", "integer": "integer", "number": "number"}
_LONGEST_NUMBER: Final = 20  # characters; Python would read thousands of digits
_UPLOAD: Final = "^inputs/"  # how the pattern of a file's key begins: nothing to type


@dataclass(frozen=True)
class FormField:
    """`kind` is text, integer, number or choice; `least` and `most` are both allowed, `longest` counts characters.

    `default` is what leaving the field empty gives, None where that is nothing.
    """

    name: str
    kind: str
    label: str
    help: str
    required: bool
    default: object = None
    least: float | None = None
    most: float | None = None
    longest: int | None = None
    choices: Sequence[str] = ()

    @classmethod
    def of(cls, name: str, schema: Mapping[str, Any], *, required: bool) -> Self | None:
        """None for what no field takes: files, lists, objects."""
        value = value_schema(dict(schema))
        choices = value.get("enum", [value["const"]] if "const" in value else [])
        kind = "choice" if choices else _KINDS.get(value.get("type", ""))
        if kind is None or str(value.get("pattern", "")).startswith(_UPLOAD):
            return None
        return cls(
            name,
            kind,
            label=schema.get("title", name),
            help=schema.get("description", ""),
            required=required,
            default=schema.get("default"),
            least=value.get("minimum"),
            most=value.get("maximum"),
            longest=value.get("maxLength"),
            choices=tuple(str(choice) for choice in choices),
        )

    @property
    def span(self) -> str:
        """The range in words; nothing for what has none."""
        if self.least is None or self.most is None:
            return ""
        return f"{self.least:.10g} to {self.most:.10g}"

    def read(self, text: str) -> int | float | str:
        """The value of what was typed. A number that is none stays a string, for the schema to refuse."""
        # Python reads more than a person types: underscores and other scripts' digits.
        if self.kind not in ("integer", "number") or len(text) > _LONGEST_NUMBER or not text.isascii() or "_" in text:
            return text
        try:
            return int(text) if self.kind == "integer" else float(text)
        except ValueError:
            return text

    def fault(self, typed: str) -> str:
        """What to say beside the field when `typed` was refused."""
        match self.kind:
            case "choice":
                return "That is not on offer any more; choose one of these."
            case "integer" if self.span:
                return f"A whole number from {self.span}."
            case "number" if self.span:
                return f"A number from {self.span}."
            case "text" if self.longest is not None and len(typed) > self.longest:
                return f"That is {len(typed)} characters; at most {self.longest} fit."
        return "This is not understood."
