"""Says all that is wrong with one entry of the catalogue: its keys, and what its values mean for its modality."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from copy import deepcopy
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from services.common.catalogue.adapter_options import ADAPTERS, declaration_of
from services.common.catalogue.catalogue import COMMIT, REPOSITORY, Model
from services.common.catalogue.package import PYPI, source_fault
from services.common.modalities.modality import Modality
from services.common.modalities.registry import modalities
from services.common.param_faults import fault_of
from services.common.suggestions import nearest

Fault = tuple[str, str]  # the key, dotted, and what is wrong with it
_INPUT: Final = "00000000-0000-7000-8000-000000000000"  # the id of a file
_LONGEST: Final = 60  # characters of a value in a sentence
_CHOICE: Final = re.compile(r"'([^']*)'")
_SOURCES: Final = {"hub": "models on the hub", PYPI: "models in a package (pypi:)"}
_OF_SOURCES: Final = {"revision": "hub", "sha256": PYPI, "mirror": PYPI}  # keys by the kind of source that has them
# By pydantic's names of its errors: the shapes that TOML has and a request has not.
_SHAPES: Final = {
    "model_type": "a table { KEY = VALUE }",
    "dict_type": "a table { KEY = VALUE }",
    "mapping_type": "a table { KEY = VALUE }",
    "list_type": 'a list ["..."]',
    "tuple_type": 'a list ["..."]',
}


def entry_faults(schema: type[BaseModel], name: str, entry: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield the faults of the entry `name`, which should be of `schema`."""
    if entry.get("name", name) != name:
        yield "name", f"must be {name}, as in the brackets, or left out, not {shown(entry['name'])}"
        return
    whole = {"name": name, **entry}
    if schema is not Model:
        yield from _faults(whole, schema)
        return
    yield from _faults({key: value for key, value in whole.items() if key != "limits"}, schema)
    modality = entry.get("modality")
    if isinstance(modality, str) and modality in modalities():
        contract = modalities()[modality]
        if broken := list(_limit_faults(whole, contract)):
            yield from broken
            whole = {**whole, "limits": {}}
        yield from _default_faults(whole, contract)
    yield from _adapter_faults(whole)
    yield from _source_faults(whole)


def shown(value: object) -> str:
    """Return a value as a sentence gives it back."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    text = str(value).lower() if isinstance(value, bool) else repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def _faults(given: Mapping[str, Any], schema: type[BaseModel]) -> Iterator[Fault]:
    """Yield what pydantic finds."""
    errors = _errors(schema, given)
    # What joins several fields is checked only where each of them is right, so the rest is looked at once more.
    rest = _errors(schema, _without(given, [error["loc"] for error in errors])) if errors else []
    told = [error["msg"] for error in errors]
    for error in (*errors, *(error for error in rest if error["type"] == "value_error" and error["msg"] not in told)):
        yield ".".join(map(str, error["loc"])), _detail(error, schema)


def _errors(schema: type[BaseModel], given: Mapping[str, Any]) -> Sequence[Any]:
    try:
        schema.model_validate(dict(given))
    except ValidationError as exc:
        return exc.errors(include_url=False)
    return ()


def _without(given: Mapping[str, Any], places: Iterable[Sequence[int | str]]) -> dict[str, Any]:
    """Return the given values without those at these places; of a list, none is kept."""
    rest = deepcopy(dict(given))
    for place in places:
        table, key = rest, ""
        for part in place:
            table, key = table.get(key, table), str(part)
            if not isinstance(table.get(key), dict):
                break
        table.pop(key, None)
    return rest


def _detail(error: Any, schema: type[BaseModel]) -> str:
    if error["type"] == "extra_forbidden" and schema is Model:
        key = str(error["loc"][0])
        if isinstance(error["input"], dict):
            return f'unknown field; where it is part of a name with a dot, that stands in quotes: [models."NAME.{key}"]'
        if table := next((table for table, names in _tables().items() if key in names), None):
            return f"unknown field here; it is one of `{table}`: write {table} = {{ {key} = {shown(error['input'])} }}"
    if shape := _SHAPES.get(error["type"]):
        return f"must be {shape}, not {shown(error['input'])}"
    detail = str(fault_of(error, schema)["detail"])
    if isinstance(error["input"], str) and (near := nearest(error["input"], _CHOICE.findall(str(_expected(error))))):
        return f"{detail}: did you mean {near}?"
    return detail


def _expected(error: Any) -> object:
    """Return the values that one of a few would have been, as pydantic words them."""
    return error.get("ctx", {}).get("expected", "")


def _limit_faults(entry: Mapping[str, Any], contract: Modality) -> Iterator[Fault]:
    """Yield the faults of `limits`, which the modality knows."""
    limits = entry.get("limits", {})
    if not isinstance(limits, dict):
        yield "limits", f"must be {_SHAPES['model_type']}, not {shown(limits)}"
    elif limits and not contract.limits.model_fields:
        yield "limits", f"is of no use to {contract.name}, which has none to narrow: leave it out"
    else:
        yield from ((f"limits.{place}".removesuffix("."), told) for place, told in _faults(limits, contract.limits))


def _default_faults(entry: Mapping[str, Any], contract: Modality) -> Iterator[Fault]:
    """Yield the faults of `defaults` as parameters of the modality, and as such within the entry's `limits`."""
    defaults = entry.get("defaults", {})
    if not isinstance(defaults, dict):
        return
    required = {name for name, field in contract.params.model_fields.items() if field.is_required()}
    for name in sorted(required & defaults.keys()):
        yield f"defaults.{name}", f"is given by every request, so that {shown(defaults[name])} would never be used"
    chosen = {name: value for name, value in defaults.items() if name not in required}
    # They stand in for what every request gives itself.
    stand_ins = {contract.subject or "": "words", **dict.fromkeys(contract.inputs, _INPUT)}
    whole = {**{name: value for name, value in stand_ins.items() if name in required}, **chosen}
    faults = list(_faults(whole, contract.params))
    if faults := [(place, told) for place, told in faults if place not in required]:
        yield from ((f"defaults.{place}".removesuffix("."), told) for place, told in faults)
        return
    for name, allowed in contract.limits.model_validate(entry.get("limits", {})).faults(chosen):
        yield f"defaults.{name}", f"must be {allowed} by the entry's `limits`, not {shown(chosen[name])}"


@cache
def _tables() -> Mapping[str, AbstractSet[str]]:
    """Return the names that belong into each table of an entry."""
    known = modalities().values()
    given = {name for each in known for name in (each.subject, *each.inputs)}
    return {
        "defaults": {name for each in known for name in each.params.model_fields} - given,
        "limits": {name for each in known for name in each.limits.model_fields},
        "options": {
            name for declared in ADAPTERS.values() if declared.options for name in declared.options.model_fields
        },
    }


def _adapter_faults(entry: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what does not fit the entry's adapter, where that says what it takes."""
    adapter, options = entry.get("adapter"), entry.get("options", {})
    declared = declaration_of(adapter) if isinstance(adapter, str) else None
    if declared is None:
        return
    if entry.get("modality") in modalities() and entry["modality"] != declared.modality:
        yield "modality", f"must be {declared.modality} for the adapter {adapter}, not {shown(entry['modality'])}"
    if isinstance(options, dict) and declared.options is not None:
        yield from ((f"options.{place}", detail) for place, detail in _faults(options, declared.options))


def _source_faults(entry: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield what no worker could fetch, or would not look at."""
    source = entry.get("source")
    if not isinstance(source, str):
        return
    kind, _, name = source.partition(":")
    if kind == "hub":
        yield from _hub_faults(name, entry)
    elif kind == PYPI:
        yield from _package_faults(source, entry)
    elif "://" in source:
        yield "source", f"must be a folder, or hub:OWNER/NAME with a `revision`, not the address {shown(source)}"
        return
    for key, only in _OF_SOURCES.items():
        if entry.get(key) and kind != only:
            yield key, f"is of {_SOURCES[only]} alone, and the source is {shown(source)}: leave it out"


def _hub_faults(name: str, entry: Mapping[str, Any]) -> Iterator[Fault]:
    revision = entry.get("revision")
    if not REPOSITORY.fullmatch(name):
        yield "source", f"must be hub:OWNER/NAME, as in hub:stabilityai/sd-turbo, not {shown(entry['source'])}"
    elif isinstance(revision, str) and revision and not COMMIT.fullmatch(revision):
        commits = f"https://huggingface.co/{name}/commits"
        yield "revision", f"must be a commit hash of 40 hex digits, from {commits}, not {shown(revision)}"


def _package_faults(source: str, entry: Mapping[str, Any]) -> Iterator[Fault]:
    mirror = entry.get("mirror")
    if fault := source_fault(source):
        yield "source", f"{fault}, not {shown(source)}"
    if isinstance(mirror, str) and not (mirror.startswith("hub:") and REPOSITORY.fullmatch(mirror[4:])):
        yield "mirror", f"must be hub:OWNER/NAME, where the hub has the same weights, not {shown(mirror)}"
