"""Writes the table of docs/security.md: one row a hostile file, with the answer to it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.intake.cases import Case
from tests.intake.meter import Measured

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "security.md"
START, END = "<!-- hostile -->\n", "<!-- /hostile -->\n"
HEAD: Final = "| Sent | What it is | Answer | Seconds | Peak memory |\n|---|---|---|---|---|\n"


def write_table(rows: Sequence[tuple[Case, Measured]], file: Path = FILE) -> None:
    """Replace the table by these rows."""
    before, _, rest = file.read_text(encoding="utf-8").partition(START)
    after = rest.partition(END)[2]
    table = HEAD + "".join(f"{described(case)} | {_figures(measured)} |\n" for case, measured in rows)
    file.write_text(f"{before}{START}{table}{END}{after}", encoding="utf-8")


def described(case: Case) -> str:
    """Return the part of the row that is the same on any machine."""
    told = ", ".join([f"`{each}`" for each in ([case.code] if case.code else case.warnings)])
    return f"| {case.name} | {case.what} | {case.status}{f' {told}' if told else ''}"


def _figures(measured: Measured) -> str:
    memory = f"{measured.peak_mb:.0f} MB" if measured.peak_mb else "none"
    return f"{measured.seconds:.2f} | {memory}"
