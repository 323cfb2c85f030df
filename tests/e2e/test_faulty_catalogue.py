"""Processes that are started with a catalogue that has faults."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENTRY = '[models.mine]\ntitle = "Mine"\nmodality = "txt2img"\nadapter = "txt2img"\nsource = "."\ndefault = true\n'
FAULTS = {
    "defaults": f'{ENTRY}defaults = {{ height = "512" }}\n',
    "options": f"{ENTRY}options = {{ precisions = 16 }}\n",
    "limits": f"{ENTRY}limits = {{ min_side = 384, max_side = 128 }}\n",
    "no table": "mine = 1\n",
    "broken": "[models.mine\n",
}


@pytest.mark.parametrize("command", [[], ["api"], ["worker"]], ids=["studio", "api", "worker"])
@pytest.mark.parametrize("content", FAULTS.values(), ids=FAULTS)
def test_nothing_starts(command: list[str], content: str, tmp_path: Path) -> None:
    """The process ends at once with exit code 2 and one line that names the file, and leaves nothing behind."""
    (tmp_path / "mine.toml").write_text(content)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    done = subprocess.run(
        [sys.executable, "-m", "services", *command],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT), "STUDIO_CATALOGUE": "mine.toml"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("mine.toml: ")
    assert done.stderr.count("\n") == 1
    assert [each.name for each in tmp_path.iterdir()] == ["mine.toml"]


def test_recipe_checks_a_file() -> None:
    """`just models --check FILE` hands its arguments to the command, a file with a space in its name too."""
    just = Path(sys.executable).with_name("just")
    said = subprocess.run(
        [just, "--dry-run", "models", "--check", "my models.toml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert said.stderr.splitlines()[-1].endswith('-m services models "$@"')
