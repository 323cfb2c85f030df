"""Reads the catalogue from its two TOML files: all that is wrong with them is said before anything starts."""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ValidationError

from services.common.catalogue.catalogue import Catalogue, Model
from services.common.catalogue.checks import entry_faults, shown
from services.common.modalities.style import Style
from services.common.suggestions import nearest, unknown

_NAMES: Final = re.compile(r"\('([^)]*)',?\)")  # of a table, as tomllib has them in its sentences
_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)")
_LONGEST: Final = 60  # characters of a line or of a name in a sentence


class CatalogueFaults(ValueError):
    """Raised for a catalogue that cannot be used. `faults` has one sentence for each thing that is wrong."""

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = tuple(faults)
        more = f" ({len(faults) - 1} more: `studio models --check FILE` tells all)" if len(faults) > 1 else ""
        super().__init__(f"{faults[0]}{more}")


@dataclass(frozen=True)
class _Kind:
    """One of the two files: it holds tables [`table`.NAME], and `setting` names it."""

    table: str
    schema: type[BaseModel]
    setting: str


_MODELS: Final = _Kind("models", Model, "STUDIO_CATALOGUE")
_STYLES: Final = _Kind("styles", Style, "STUDIO_STYLES")


def load_catalogue(models: Path, styles: Path) -> Catalogue:
    """Raise CatalogueFaults, a ValueError, with all that is wrong with the two files."""
    return _load(models, styles, {})


def check_file(file: Path, models: Path, styles: Path) -> Catalogue:
    """Load the catalogue with `file` in place of the one of the two files that it is. Raise CatalogueFaults."""
    read = {file: _read(file, "give the path of a models.toml or styles.toml")}  # once: it may be a pipe
    if _STYLES.table in read[file] and _MODELS.table not in read[file]:
        return _load(models, file, read)
    one = _same(styles, models) or _same(styles, file)
    return _load(file, file if one else styles, read)


def _load(models: Path, styles: Path, contents: Mapping[Path, dict[str, Any]]) -> Catalogue:
    """Load the two files. `contents` has those that were read already."""
    faults: list[str] = []
    read = {}
    for path, kind in ((models, _MODELS), (styles, _STYLES)):
        try:
            hint = f"{kind.setting} names the file of the {kind.table}"
            top = contents[path] if path in contents else _read(path, hint)
            read[kind.table] = _table(path, kind, top, both=_same(models, styles))
        except CatalogueFaults as exc:
            faults += exc.faults
        else:
            faults += (f"{path}: {fault}" for fault in _entry_faults(read[kind.table], kind))
    if offered := read.get(_MODELS.table):
        faults += (f"{models}: {fault}" for fault in _joint_faults(offered, read.get(_STYLES.table)))
    if faults:
        raise CatalogueFaults(faults)
    named = {table: {name: {"name": name, **each} for name, each in read[table].items()} for table in read}
    try:
        return Catalogue.model_validate(named)
    except ValidationError as exc:
        sentences = (str(error["msg"]).removeprefix("Value error, ") for error in exc.errors())
        raise CatalogueFaults([f"{models}: {sentence}" for sentence in sentences]) from exc


def _same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _read(path: Path, hint: str) -> dict[str, Any]:
    """Return what a TOML file holds. Raise CatalogueFaults, with the `hint` where there is no such file."""
    text = ""
    try:
        text = path.expanduser().read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
        return tomllib.loads(text)
    except OSError as exc:
        fault = f"cannot be read: {exc.strerror}; {hint}"
    except UnicodeDecodeError as exc:
        fault = f"is not text in UTF-8 (byte {exc.start} is {exc.object[exc.start]:#x}); save it as UTF-8"
    except RecursionError:
        fault = "is not valid TOML: lists or tables are nested too deeply"
    except RuntimeError as exc:  # of a home folder
        fault = f"cannot be read: {exc}; {hint}"
    except ValueError as exc:  # also for a number of thousands of digits
        fault = f"is not valid TOML: {_toml_fault(str(exc), text)}"
    raise CatalogueFaults([f"{path}: {fault}"])


def _toml_fault(fault: str, text: str) -> str:
    """Return the fault with the line it is about, and with names as they stand in brackets."""
    named = _NAMES.sub(lambda match: "[" + match[1].replace("', '", ".") + "]", fault)
    lines, place = text.rstrip().split("\n"), _LINE.search(fault)
    line = lines[min(int(place[1]), len(lines)) - 1 if place else -1].strip()
    return f"{named}: {line[:_LONGEST]!r}" if line else named


def _table(path: Path, kind: _Kind, top: Mapping[str, Any], *, both: bool) -> dict[str, Any]:
    """Return the entries by name of a file that holds `top`. `both` says that it holds the other kind as well."""
    wanted = f"each of the {kind.table} is a table [{kind.table}.NAME]"
    if kind.table not in top:
        raise CatalogueFaults([f"{path}: has no [{kind.table}.NAME], {_instead(top, kind.table)}; {wanted}"])
    table = top[kind.table]
    if not isinstance(table, dict):
        raise CatalogueFaults([f"{path}: {kind.table} is {shown(table)}; {wanted}"])
    if not table and kind is _MODELS:
        raise CatalogueFaults([f"{path}: [{kind.table}] is empty; {wanted}"])
    known = {_MODELS.table, _STYLES.table} if both else {kind.table}
    if foreign := [f"{path}: {unknown('table', name, known)}; {wanted}" for name in top if name not in known]:
        raise CatalogueFaults(foreign)
    return table


def _instead(top: Mapping[str, Any], table: str) -> str:
    if not top:
        return "it is empty"
    near = nearest(table, top) or ("" if table.rstrip("s") not in top else table.rstrip("s"))
    there = f"but {', '.join(_bracketed(name) if isinstance(top[name], dict) else name for name in list(top)[:5])}"
    return f"{there}: did you mean {near} to be {table}?" if near else there


def _entry_faults(table: Mapping[str, Any], kind: _Kind) -> Iterator[str]:
    for name, entry in table.items():
        place = _bracketed(kind.table, name)
        if isinstance(entry, dict):
            found = entry_faults(kind.schema, name, entry)
            yield from (f"{place} {key}: {detail}" if key else f"{place}: {detail}" for key, detail in found)
        else:
            yield f"[{kind.table}] {name[:_LONGEST]}: must be a table {place}, not {shown(entry)}"


def _joint_faults(models: Mapping[str, Any], styles: Mapping[str, Any] | None) -> Iterator[str]:
    """Yield what is wrong with entries only beside the others."""
    tables = {name: entry for name, entry in models.items() if isinstance(entry, dict)}
    default = [name for name, entry in tables.items() if entry.get("default") is True]
    if len(default) != 1:
        got = f"{', '.join(default)} do" if default else "none does"
        yield f"[models] default: exactly one model must say `default = true`, and {got}; there are {', '.join(models)}"
    yield from _alias_faults(tables)
    for name, entry in tables.items():
        defaults = entry.get("defaults")
        style = defaults.get("style") if isinstance(defaults, dict) else None
        if isinstance(style, str) and styles is not None and style not in styles:
            yield f"{_bracketed('models', name)} defaults.style: {unknown('style', style, styles)}"


def _alias_faults(models: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Yield the aliases that stand for another model as well, or twice for theirs."""
    owners = {name: name for name in models}
    for name, entry in models.items():
        aliases = entry.get("aliases")
        for alias in aliases if isinstance(aliases, list) else []:
            if isinstance(alias, str) and alias in owners:
                place, owner = _bracketed("models", name), _bracketed("models", owners[alias])
                yield f"{place} aliases: {shown(alias)} stands for {owner} already; an alias is that of one model, once"
            elif isinstance(alias, str):
                owners[alias] = name


def _bracketed(*names: str) -> str:
    """Return the names as a TOML file has them above a table."""
    quoted = (name if re.fullmatch(r"[\w-]+", name, re.ASCII) else repr(name[:_LONGEST]) for name in names)
    return f"[{'.'.join(quoted)}]"
