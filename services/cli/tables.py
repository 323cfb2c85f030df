"""Lists as tables for a terminal."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from services.common.catalogue.catalogue import Model

# A prompt must not command the terminal of the person who lists it.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
NARROWEST: Final = 80  # columns: in less, an id and what it stands for have no room side by side
WIDEST: Final = 200  # columns of a table that no terminal limits


def plain(text: str) -> str:
    """Return the text without control characters, which a terminal would obey."""
    return _CONTROL.sub(" ", text)


def print_table(table: Table) -> None:
    """Print the table to standard output with nothing cut off, and each id, in the first column, on one line.

    A narrower terminal breaks the lines by itself. A file or another program gets as wide a table as it takes.
    """
    console = Console()
    for column in table.columns:
        column.overflow = "fold"
    for column in table.columns[:1]:  # a report of nothing has none
        column.no_wrap = True
    wanted = console.measure(table, options=console.options.update(max_width=WIDEST)).maximum
    console.width = max(NARROWEST, console.width if console.is_terminal else wanted)
    console.print(table)


def model_table(models: Iterable[Model], here: Mapping[str, int]) -> Table:
    """Return a table of the models on offer; `here` has the bytes of those that are installed."""
    table = Table("model", "modality", "source", "licence", "installed", "default", title="Models on offer")
    for model in models:
        installed, default = _installed(model, here), "yes" if model.default else ""
        _add(table, model.name, model.modality, model.source, model.licence, installed, default)
    return table


def _installed(model: Model, here: Mapping[str, int]) -> str:
    if model.name in here:
        return f"yes, {megabytes(here[model.name])}"
    return f"no, {model.megabytes:,} MB" if model.megabytes else "no"


def megabytes(size: int) -> str:
    """Return a size in bytes as a person reads it."""
    return f"{size / 1e6:,.1f} MB" if size < 1e7 else f"{size / 1e6:,.0f} MB"


def job_table(jobs: Iterable[dict[str, Any]]) -> Table:
    """Return a table of jobs, as the API represents them."""
    table = Table("job", "state", "model", "asked for", "made (UTC)", title="Jobs, the newest first")
    for job in jobs:
        asked = str(job["params"].get("prompt") or job["params"].get("text") or "")
        made = job["created_at"].partition(".")[0].replace("T", " ")
        _add(table, job["id"], job["state"], job["model"], asked, made)
    return table


def dead_letter_table(letters: Iterable[dict[str, Any]]) -> Table:
    """Return a table of dead letters, as the API represents them."""
    table = Table("message", "model", "job", "died (UTC)", "what is wrong", title="Dead letters, the oldest first")
    for letter in letters:
        died = (letter["died_at"] or "").partition(".")[0].replace("T", " ").removesuffix("Z")
        fault = letter["fault"] or "poison, or its parameters: see `studio dead show`"
        _add(table, letter["message_id"], letter["model"], letter["job_id"], died, fault)
    return table


def _add(table: Table, *cells: str | None) -> None:
    table.add_row(*(None if cell is None else escape(plain(cell)) for cell in cells))
