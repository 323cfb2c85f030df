"""Documentation that is generated is up to date, and what it tells people to paste runs."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from services.common.catalogue.files import load_catalogue
from tests.api.conftest import embedded_settings
from tests.support.live_server import LiveGateway
from tests.support.sample_jobs import SampleJobs

ROOT = Path(__file__).resolve().parents[1]


def test_cli_reference_is_generated(tmp_path: Path) -> None:
    """docs/cli.md is exactly what the commands say of themselves; `just cli-docs` writes it."""
    written = tmp_path / "cli.md"
    command = [*(sys.executable, "-m", "typer", "services.__main__", "utils", "docs"), "--name", "studio"]
    subprocess.run([*command, "--output", written], cwd=ROOT, capture_output=True, check=True, timeout=60)
    assert (ROOT / "docs" / "cli.md").read_text() == written.read_text()


@pytest.fixture
def sample_jobs(tmp_path: Path) -> Iterator[SampleJobs]:
    catalogue = load_catalogue(ROOT / "models" / "models.toml", ROOT / "models" / "styles.toml")
    with LiveGateway(embedded_settings(tmp_path / "live"), catalogue) as live, SampleJobs(live) as opened:
        yield opened


@pytest.mark.parametrize("number", [0, 1])
def test_readme_runs(sample_jobs: SampleJobs, tmp_path: Path, number: int) -> None:
    """Each of the README's clients, a few lines of Python, gets its pictures."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    code = blocks[number].replace("http://127.0.0.1:8000", sample_jobs.url)
    assert code != blocks[number]
    with sample_jobs.working():
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "photo.png").exists() or done.stdout.count(sample_jobs.url) == 2
    assert len([line for line in code.splitlines() if line]) <= 5
