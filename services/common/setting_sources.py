"""Where the settings stand: in the environment, or in which line of `.env`; and what is told when one is wrong.

pydantic-settings reads the values. It passes over lines that it cannot read and over names that it does not know, and
its errors name neither the variable nor the file.
"""

import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from io import StringIO
from pathlib import Path
from typing import Any, Final, Self

from dotenv.parser import Binding, parse_stream
from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import PydanticBaseSettingsSource

PREFIX: Final = "STUDIO_"
ENCODING: Final = "utf-8-sig"  # with or without the mark that editors on Windows put first
ENVIRONMENT: Final = "the environment"
SHOWN: Final = 80  # characters of a value in a message
_CLOSE: Final = 0.7  # two letters swapped in a word of four are at 0.75
_FAULT: Final = re.compile(rf"{PREFIX}[A-Z0-9_]+(?=[:,]| /)")  # as checks outside of the settings begin theirs
_LINK: Final = re.compile(r"_SERVICE_(HOST|PORT)|_PORT_\d+_(TCP|UDP)")
_LINKS: Final = (
    "Kubernetes and Docker set such variables for a service that is named studio: "
    "`enableServiceLinks: false` in the pod keeps them out"
)


class CleanSource(PydanticBaseSettingsSource):
    """A source without what is empty there: the next place is asked for that."""

    def __init__(self, source: PydanticBaseSettingsSource) -> None:
        super().__init__(source.settings_cls)
        self._source = source

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        return self._source.get_field_value(field, field_name)

    def __call__(self) -> dict[str, Any]:
        texts = {name: bare(text) for name, text in self._source().items() if text is not None}
        return {name: text for name, text in texts.items() if text}


@dataclass(frozen=True)
class SettingSources:
    """The place of each variable with our prefix that has a value, by name; `.env` fills in what is empty elsewhere."""

    in_environment: frozenset[str]
    in_file: Mapping[str, str]

    @classmethod
    def of(cls, environ: Mapping[str, str], env_file: Path) -> Self:
        """Raises ValueError for a file or a line of it that cannot be read."""
        given = {name.upper() for name, value in environ.items() if _is_ours(name) and bare(value)}
        return cls(frozenset(given), dict(_places_in(env_file)))

    def place(self, name: str) -> str:
        """Return where the value of this variable comes from."""
        return ENVIRONMENT if name in self.in_environment else self.in_file.get(name, ENVIRONMENT)

    def refuse_unknown(self, known: Collection[str], foreign: Collection[str]) -> None:
        """Raise ValueError for variables that are neither `known` nor declared as those of other programs."""
        if ours := sorted(set(foreign) & set(known)):
            raise ValueError(f"{PREFIX}FOREIGN_VARIABLES names {', '.join(ours)}, a setting of this program")
        names = self.in_environment | set(self.in_file)
        unknown = sorted(names - set(known) - set(foreign))
        if not unknown:
            return
        words = [name.removeprefix(PREFIX) for name in known]  # the prefix would make all of them alike
        nearest = {name: get_close_matches(name.removeprefix(PREFIX), words, 1, _CLOSE) for name in unknown}
        hints = [
            f"{name}{f' (did you mean {PREFIX}{near[0]}?)' if near else ''} in {self.place(name)}"
            for name, near in nearest.items()
        ]
        allow = ",".join(sorted({*foreign, *unknown}))
        links = f". {_LINKS}" if any(map(_LINK.search, unknown)) else ""
        raise ValueError(
            f"unknown setting: {'; '.join(hints)}. Correct or remove what is misspelt; a variable that belongs to "
            f"another program is allowed by {PREFIX}FOREIGN_VARIABLES={allow}{links}"
        )

    def told(self, exc: ValidationError, schema: Mapping[str, Any], secret: Collection[str]) -> str:
        """Return the faults in one text. `schema` is the settings' JSON schema; values of `secret` are not shown."""
        faults = [error for error in exc.errors(include_url=False) if error["type"] != "default_factory_not_called"]
        return "; ".join(self._fault(error, schema, secret) for error in faults)

    def _fault(self, error: ErrorDetails, schema: Mapping[str, Any], secret: Collection[str]) -> str:
        context = error.get("ctx", {})
        reason = context.get("error")  # of a validator of ours, whose sentence is whole
        if not error["loc"]:
            return str(reason or error["msg"])
        name, got = str(error["loc"][0]), str(error["input"])
        shown = f"{len(got)} characters, which are not shown" if name in secret else repr(got[:SHOWN])
        least = context.get("min_length")
        may_be = f"at least {least} characters" if least else allowed(schema["properties"][name])
        fault = str(reason) if reason else f"got {shown}; allowed is {may_be}"
        variable = PREFIX + name.upper()
        if got.startswith(("tcp://", "udp://")):
            fault += f". {_LINKS}"
        return f"{variable} in {self.place(variable)}: {fault}"


def allowed(schema: Mapping[str, Any]) -> str:
    """Return in words what the JSON schema of a setting allows."""
    kinds = [each for each in schema.get("anyOf", [schema]) if each.get("type") != "null"]
    kind = kinds[0]
    if "enum" in kind:
        return ", ".join(kind["enum"])
    if kind["type"] == "boolean":
        return "true or false"
    if kind["type"] == "string":
        return str(schema["description"])
    number = "a whole number" if kind["type"] == "integer" else "a number"
    least, above, most = (kind.get(key) for key in ("minimum", "exclusiveMinimum", "maximum"))
    bounds = [
        *([f"from {least}"] if least is not None else []),
        *([f"above {above}"] if above is not None else []),
        *([f"up to {most}"] if most is not None else []),
    ]
    return " ".join([number, *bounds])


def located(message: str, environ: Mapping[str, str] = os.environ, env_file: Path = Path(".env")) -> str:
    """Return a message that begins with the name of a variable with the place where that is set."""
    found = _FAULT.match(message)
    if found is None:
        return message
    sources, name = SettingSources.of(environ, env_file), found[0]
    if name not in sources.in_environment and name not in sources.in_file:
        return message
    return f"{name} in {sources.place(name)}{message.removeprefix(name)}"


def bare(text: str) -> str:
    """Return a value without what cannot be seen around it, and without quotes.

    A shell that reads a file of Windows leaves a carriage return, and `docker run --env-file` leaves the quotes.
    """
    text = text.strip()
    quoted = len(text) > 1 and text[0] == text[-1] and text[0] in "'\""
    return text[1:-1].strip() if quoted else text


def listed_names(listed: str) -> frozenset[str]:
    """Return the names in a list with commas or spaces."""
    return frozenset(listed.upper().replace(",", " ").split())


def _is_ours(name: str) -> bool:
    """Return whether the name has our prefix, in either case: pydantic-settings reads both."""
    return name.upper().startswith(PREFIX)


def _places_in(env_file: Path) -> Iterator[tuple[str, str]]:
    """Yield the names in the file that have our prefix and a value, each with the file and its line."""
    for binding in _bindings(env_file):
        text = binding.original.string
        line = binding.original.line + text[: len(text) - len(text.lstrip())].count("\n")
        place = f"{env_file.absolute()}, line {line}"
        if binding.error and (name := _ours_in(text)):
            raise ValueError(f"{name} in {place}: this is not read as NAME=VALUE; quotes have to be closed")
        if binding.key and _is_ours(binding.key) and bare(binding.value or ""):
            yield binding.key.upper(), place


def _bindings(env_file: Path) -> list[Binding]:
    """Parse the file; one that is missing is empty, and a folder of this name (a virtual environment) is none."""
    # It warns of lines that it cannot read: ours stop the start, and those of other programs are their business.
    logging.getLogger("dotenv").setLevel(logging.ERROR)
    try:
        text = env_file.read_text(ENCODING) if env_file.is_file() or env_file.is_fifo() else ""
    except UnicodeDecodeError as exc:
        raise ValueError(f"{env_file.absolute()} is not UTF-8 (byte {exc.start}): save it with that encoding") from exc
    except OSError as exc:
        raise ValueError(f"{env_file.absolute()} cannot be read: {exc.strerror}") from exc
    return list(parse_stream(StringIO(text)))


def _ours_in(text: str) -> str | None:
    """Return the first name with our prefix that begins one of these lines."""
    for line in text.splitlines():
        words = line.replace("=", " ").replace(":", " ").strip().removeprefix("export ").split()
        if words and _is_ours(words[0]):
            return words[0]
    return None
