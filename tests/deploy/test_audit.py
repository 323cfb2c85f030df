"""The audit of the pinned versions, with a fake pip-audit."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose_files import ROOT

SOUND: dict[str, Any] = {"name": "sound", "version": "1", "vulns": []}
HOLED: dict[str, Any] = {"name": "holed", "version": "2", "vulns": [{"id": "CVE-2026-1"}]}
UNKNOWN: dict[str, Any] = {"name": "unknown", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("found", "lenient", "strict"),
    [([SOUND], 0, 0), ([SOUND, HOLED], 1, 1), ([SOUND, UNKNOWN], 0, 1), (None, 0, 1)],
    ids=["none", "hole", "unknown", "no answer"],
)
def test_a_hole_fails(tmp_path: Path, found: list[dict[str, Any]] | None, lenient: int, strict: int) -> None:
    """A known vulnerability is named and fails; a version that PyPI does not know fails only with `--strict`."""
    said = "raise SystemExit('no route')" if found is None else f"print({json.dumps({'dependencies': found})!r})"
    (tmp_path / "pip_audit.py").write_text(said)
    done, strictly = _audit(tmp_path), _audit(tmp_path, "--strict")
    assert (done.returncode, strictly.returncode) == (lenient, strict)
    assert ("holed 2: CVE-2026-1" in done.stdout) == (found is not None and HOLED in found)
    assert ("not audited: no route" in done.stderr) == (found is None)


def _audit(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "scripts.audit", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
