"""One field of a form, built from a property of a JSON Schema, so that a new parameter needs no code here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from services.common.modalities.limits import value_schema

_KINDS: Final = {"string": "text", "integer": "integer", "number": "number"}
_ONE_LINE: Final = 1000  # characters
_LONGEST_NUMBER: Final = 20  # characters; Python would read thousands of digits


@dataclass(frozen=True)
class FormField:
    """`kind` is text, integer, number or choice; `least` and `most` are themselves allowed, `longest` is in characters.

    A value is a multiple of `multiple_of`, where there is one. `default` is the value of a field left empty, None where
    there is none.
    """

    name: str
    kind: str
    label: str
    help: str
    required: bool
    default: object = None
    least: float | None = None
    most: float | None = None
    multiple_of: int | None = None
    longest: int | None = None
    choices: Sequence[str] = ()

    @classmethod
    def of(cls, name: str, schema: Mapping[str, Any], *, required: bool) -> Self | None:
        """Build the field; None for values that no field takes: lists, objects."""
        value = value_schema(dict(schema))
        choices = value.get("enum", [value["const"]] if "const" in value else [])
        kind = "choice" if choices else _KINDS.get(value.get("type", ""))
        if kind is None:
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
            multiple_of=value.get("multipleOf"),
            longest=value.get("maxLength"),
            choices=tuple(str(choice) for choice in choices),
        )

    @property
    def long(self) -> bool:
        """True if the text may have several lines."""
        return self.kind == "text" and (self.longest or 0) > _ONE_LINE

    @property
    def span(self) -> str:
        """The range in words; empty for a field without one."""
        if self.least is None or self.most is None:
            return ""
        return f"{self.least:.10g} to {self.most:.10g}"

    def too_long(self, typed: str) -> bool:
        """True if the text is longer than the field takes."""
        return self.longest is not None and len(typed) > self.longest

    def read(self, text: str) -> int | float | str:
        """Return the value of the typed text. Text that is no number stays a string, which the schema refuses."""
        # Python reads more than people mean as a number: underscores, and the digits of other scripts.
        if self.kind not in ("integer", "number") or len(text) > _LONGEST_NUMBER or not text.isascii() or "_" in text:
            return text
        try:
            return int(text) if self.kind == "integer" else float(text)
        except ValueError:
            return text

    def fault(self, typed: str) -> str:
        """Return the sentence to show beside the field when `typed` was refused."""
        match self.kind:
            case "choice":
                return "This choice is not offered any more. Choose one of these."
            case "integer" if self.span:
                return f"Enter a whole number from {self.span}."
            case "number" if self.span:
                return f"Enter a number from {self.span}."
            case "text" if self.too_long(typed):
                return f"This is {len(typed)} characters long; at most {self.longest} fit. Shorten it."
        return "This value is not valid. Change it, or leave the field empty."
