"""Updates the table of docs/reliability.md: one row a scenario and kind of backends, rewritten after each run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tests.faults.result import Result
from tests.faults.scenarios import scenarios

FILE: Final = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
START, END = "<!-- chaos -->\n", "<!-- /chaos -->\n"
HEAD: Final = (
    "| Scenario | What happens | Backends | Jobs | Lost | Doubled | Wrong | Regressed | Holds |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


def write_table(results: Sequence[Result], file: Path = FILE) -> None:
    """Write the rows of these results. Rows of other scenarios stay; rows of scenarios that no longer exist go."""
    before, _, rest = file.read_text().partition(START)
    old, _, after = rest.partition(END)
    rows = {_key(row): row for row in old.removeprefix(HEAD).splitlines(keepends=True) if row.startswith("| ")}
    about = {scenario.name: scenario.about for scenario in scenarios()}
    rows |= {(result.name, result.backend): _row(result, about[result.name]) for result in results}
    order = [(scenario.name, backend) for scenario in scenarios() for backend in scenario.backends]
    file.write_text(before + START + HEAD + "".join(rows[key] for key in order if key in rows) + END + after)


def _key(row: str) -> tuple[str, str]:
    cells = [cell.strip() for cell in row.split("|")]
    return cells[1].strip("`"), cells[3]


def _row(result: Result, about: str) -> str:
    counts = f"{result.jobs} | {result.lost} | {result.doubled} | {result.wrong} | {result.regressed}"
    verdict = "yes" if result.ok else "**no**"
    return f"| `{result.name}` | {about} | {result.backend} | {counts} | {verdict} |\n"
