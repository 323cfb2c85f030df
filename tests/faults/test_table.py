"""The table of docs/reliability.md is updated by row and complete."""

from dataclasses import replace
from pathlib import Path

from tests.faults.reliability_table import END, FILE, START, write_table
from tests.faults.result import Result
from tests.faults.scenarios import scenarios

HELD = Result("broker-killed", "distributed", 50, 0, 0, 0, 0, 0, 0, 0, 9.5, ())


def test_rows_are_replaced(tmp_path: Path) -> None:
    """A result replaces the row of its scenario and no other; the prose around the table stays."""
    file = tmp_path / "reliability.md"
    file.write_text(f"before\n{START}{END}after\n")
    write_table([HELD, replace(HELD, name="redis-killed")], file)
    write_table([replace(HELD, lost=3, faults=("three are gone",))], file)
    text = file.read_text()
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    rows = [row for row in text.splitlines() if row.startswith("| `")]
    assert [row.split("|")[1].strip() for row in rows] == ["`broker-killed`", "`redis-killed`"]
    assert rows[0].endswith("| 50 | 3 | 0 | 0 | 0 | **no** |")
    assert rows[1].endswith("| 50 | 0 | 0 | 0 | 0 | yes |")


def test_the_whole_table_is_there() -> None:
    """The table has a row with fifty jobs for every scenario and each of its kinds of backends."""
    text = FILE.read_text()
    for scenario in scenarios():
        for backend in scenario.backends:
            assert f"| `{scenario.name}` | {scenario.about} | {backend} | {50 + len(scenario.extra_requests)} |" in text
