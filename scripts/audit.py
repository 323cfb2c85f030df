"""Asks PyPI which of the pinned versions have known vulnerabilities.

Without the internet, or where PyPI does not know a version, `just check` says so and passes, so that it works offline;
`just audit` (`--strict`) fails then.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[1]
COMMAND: Final = (
    "-m pip_audit --progress-spinner off --format json --disable-pip --no-deps --requirement constraints.txt"
)
SECONDS: Final = 120


def main() -> int:
    strict = "--strict" in sys.argv[1:]
    try:
        found = _dependencies()
    except (ValueError, subprocess.TimeoutExpired) as exc:
        print(f"not audited: {exc}", file=sys.stderr)
        return int(strict)
    skipped = [each["name"] for each in found if "skip_reason" in each]
    holes = [f"{each['name']} {each['version']}: {hole['id']}" for each in found for hole in each.get("vulns", ())]
    print(f"audited: {len(found) - len(skipped)} versions, known holes: {len(holes)}", *holes, sep="\n  ")
    if skipped:
        print(f"PyPI told nothing of {len(skipped)} versions", file=sys.stderr)
    return int(bool(holes) or (strict and bool(skipped)))


def _dependencies() -> list[dict[str, Any]]:
    """Return pip-audit's entry of each version. Raises ValueError if PyPI does not answer, and TimeoutExpired."""
    asked = subprocess.run(
        [sys.executable, *COMMAND.split()], cwd=ROOT, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    try:
        return json.loads(asked.stdout)["dependencies"]  # type: ignore[no-any-return]
    except ValueError:
        raise ValueError(asked.stderr.strip().splitlines()[-1]) from None


if __name__ == "__main__":
    sys.exit(main())
