"""`python -m tests.intake [--json]`: send every hostile file to a gateway, and write the table of docs/security.md.

The command exits with 1 when an answer is not the one that is promised.
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path

from tests.intake.cases import Case, cases
from tests.intake.meter import Measured, open_meter
from tests.intake.security_table import described, write_table


def main() -> int:
    parser = argparse.ArgumentParser(prog="just hostile", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON object a line and nothing else to stdout")
    as_json = parser.parse_args().json
    rows: list[tuple[Case, Measured]] = []
    with tempfile.TemporaryDirectory(prefix="studio-hostile-") as folder, open_meter(Path(folder)) as meter:
        for case in cases():
            measured = meter.measure(case)
            rows.append((case, measured))
            print(_line(case, measured, as_json=as_json), flush=True)
    write_table(rows)
    return 0 if all(case.holds(measured.status, measured.code, measured.warnings) for case, measured in rows) else 1


def _line(case: Case, measured: Measured, *, as_json: bool) -> str:
    holds = case.holds(measured.status, measured.code, measured.warnings)
    if as_json:
        return json.dumps({"name": case.name, "ok": holds, **asdict(measured)})
    return f"{'ok  ' if holds else 'MISS'} {described(case)} | {measured.seconds:.2f} s | {measured.peak_mb:.0f} MB"


if __name__ == "__main__":
    sys.exit(main())
