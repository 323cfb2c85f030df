"""Finds the adapter class that a catalogue entry names."""

import importlib
from importlib.metadata import entry_points

from services.common.catalogue.adapter_options import GROUP
from services.common.errors import ModelUnavailable
from services.common.provenance.mark import SourceType
from services.inference.runtime.adapter import ModelAdapter
from services.inference.runtime.device_errors import first_line


def resolve_adapter(name: str) -> type[ModelAdapter]:
    """Return the class `name`: an entry point of the group `studio.models`, or `package.module:Class`.

    Raise ModelUnavailable, with the known names, for any other.
    """
    found = _imported(name) if ":" in name else _entry_point(name)
    if not (isinstance(found, type) and issubclass(found, ModelAdapter)):
        raise ModelUnavailable(f"adapter {name!r} is not a subclass of {ModelAdapter.__name__}")
    if found.source_type not in list(SourceType):
        allowed = ", ".join(SourceType)
        raise ModelUnavailable(f"adapter {name!r} has the source_type {found.source_type!r}; allowed are: {allowed}")
    return found


def _entry_point(name: str) -> object:
    known = entry_points(group=GROUP)
    if name not in known.names:
        names = ", ".join(sorted(known.names)) or "none, is the package installed?"
        raise ModelUnavailable(
            f"no adapter {name!r}; installed are: {names}. "
            f"Name one of these, package.module:Class, or an entry point of the group {GROUP}"
        )
    try:
        return known[name].load()
    except (Exception, SystemExit) as exc:  # a script may end itself
        raise ModelUnavailable(f"adapter {name!r} ({known[name].value}) {_not_imported(exc)}") from exc


def _imported(name: str) -> object:
    module, _, attribute = name.partition(":")
    try:
        return getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as exc:  # a script may end itself
        where = "install its package, or name its folder in PYTHONPATH (the folder this was started in is not searched)"
        raise ModelUnavailable(f"adapter {name!r} {_not_imported(exc)}; {where}") from exc


def _not_imported(exc: BaseException) -> str:
    return f"cannot be imported: {type(exc).__name__}: {first_line(exc)}"
