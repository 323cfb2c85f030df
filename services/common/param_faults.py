"""Says what is wrong with a value: what was got, what is allowed, and for an unknown field which one may be meant."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel

from services.common.modalities.params import FILE, VISIBLE
from services.common.suggestions import nearest

FAULTS: Final = 10  # of one request that are told
_LONGEST: Final = 100  # characters of a value that are given back
NAME: Final = 60  # characters of a field's name that are given back
_SHOWN: Final = 40  # of these, in a sentence
_BITS: Final = 128  # of a whole number that is given back

# By pydantic's names of its errors (https://docs.pydantic.dev/latest/errors/validation_errors/), whose own sentences
# name neither the value nor, mostly, what is allowed.
_SENTENCES: Final[Mapping[str, str]] = {
    "missing": "is required, and was left out",
    "greater_than": "must be more than {gt}, not {got}",
    "greater_than_equal": "must be at least {ge}, not {got}",
    "less_than": "must be less than {lt}, not {got}",
    "less_than_equal": "must be at most {le}, not {got}",
    "multiple_of": "must be a multiple of {multiple_of}, not {got}",
    "int_type": "must be a whole number, not {got}",
    "int_parsing": "must be a whole number, not {got}",
    "int_from_float": "must be a whole number, not {got}",
    "float_type": "must be a number, not {got}",
    "float_parsing": "must be a number, not {got}",
    "finite_number": "must be a finite number, not {got}",
    "bool_type": "must be true or false, not {got}",
    "string_type": "must be text, not {got}",
    "string_too_short": "must have at least {min_length} characters, not {length}",
    "string_too_long": "must have at most {max_length} characters, not {length}",
    "literal_error": "must be {expected}, not {got}",
    "enum": "must be {expected}, not {got}",
}
_VALUE_ERROR: Final = "Value error, "  # what pydantic puts before the sentence of a check of ours


def fault_of(error: Any, schema: type[BaseModel]) -> dict[str, object]:
    """Return the entry of an InvalidRequest for an error of pydantic about an object that should fit `schema`."""
    path, got, limits = [str(part)[:NAME] for part in error["loc"]], error.get("input"), error.get("ctx", {})
    fault: dict[str, object] = {"pointer": _pointer(path), "detail": _detail(error, path, schema)}
    if error["type"] != "missing" and (isinstance(got, str | int | float | bool) or got is None):
        fault["got"] = got[:_LONGEST] if isinstance(got, str) else got
    if isinstance(got, int) and got.bit_length() > _BITS:
        fault.pop("got", None)  # a number of thousands of digits; its first ones are in the sentence
    if allowed := {key: value for key, value in limits.items() if isinstance(value, str | int | float)}:
        fault["allowed"] = allowed
    if error["type"] == "extra_forbidden":
        fault["allowed"] = sorted(schema.model_fields)
    return fault


def _pointer(path: Sequence[str]) -> str:
    """Return the place as a JSON Pointer (RFC 6901)."""
    return "".join(f"/{part.replace('~', '~0').replace('/', '~1')}" for part in path)


def _detail(error: Any, path: Sequence[str], schema: type[BaseModel]) -> str:
    got, limits = error.get("input"), error.get("ctx", {})
    if error["type"] == "extra_forbidden":
        near = nearest(path[-1], schema.model_fields)
        meant = f": did you mean {near}? Known" if near else "; known"
        return f"unknown field{meant} are {', '.join(sorted(schema.model_fields))}"
    if error["type"] == "string_pattern_mismatch":
        return _of_form(str(limits["pattern"]), path, schema, _shown(got))
    sentence = _SENTENCES.get(error["type"])
    if sentence is None:
        return str(error["msg"]).removeprefix(_VALUE_ERROR)
    numbers = {name: f"{value:g}" if isinstance(value, float) else value for name, value in limits.items()}
    return sentence.format(**{**numbers, "got": _shown(got), "length": len(got) if isinstance(got, str) else 0})


def _of_form(pattern: str, path: Sequence[str], schema: type[BaseModel], got: str) -> str:
    """Return a sentence with what the pattern asks for, in the words of the field where it has some."""
    if pattern == VISIBLE:
        return f"must have a character that shows, not {got}"
    if pattern == FILE:
        return f"must be the id of a file sent to /v1/inputs, or a base64 data URL; no other URL is fetched, got {got}"
    known: dict[str, Any] = schema.model_json_schema()["properties"].get(path[0], {}) if path else {}
    abouts = [each["description"] for each in (known, *known.get("anyOf", [])) if "description" in each]
    return f"{got} is not valid here: {abouts[0].rstrip('.')}" if abouts else f"must match {pattern}, not {got}"


def _shown(value: object) -> str:
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    if isinstance(value, str):
        return repr(value[:_SHOWN]) + ("..." if len(value) > _SHOWN else "")
    return json.dumps(value, default=str)[:_SHOWN]
