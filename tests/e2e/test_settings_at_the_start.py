"""Settings as people give them: a copied example, empty values, a home folder in `.env`; and what is told of faults."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.system import ROOT, System, running_system


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    """A system with only the settings that a test gives; `~` is the folder `home` in its folder."""
    with running_system(tmp_path, {}) as running:
        for name in [name for name in running.environment if name.startswith("STUDIO_")]:
            if name not in ("STUDIO_PORT", "STUDIO_CATALOGUE"):
                del running.environment[name]
        running.environment["HOME"] = str(tmp_path / "home")
        yield running


def _studio(folder: Path, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("STUDIO_")}
    environment |= {"PYTHONPATH": str(ROOT), **{f"STUDIO_{name}": value for name, value in settings.items()}}
    command = [sys.executable, "-P", "-m", "services", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_the_whole_example(tmp_path: Path) -> None:
    """A copy of .env.example with every line uncommented works, in a folder without a checkout."""
    example = (ROOT / ".env.example").read_text()
    (tmp_path / ".env").write_text(example.replace("# STUDIO_", "STUDIO_"))
    done = _studio(tmp_path, "models", "--json")
    assert done.returncode == 0, done.stderr
    assert "studio-tiny" in done.stdout


@pytest.mark.parametrize(
    ("env", "settings", "told"),
    [
        ("STUDIO_PREFETCH=many\n", {}, "STUDIO_PREFETCH in {file}, line 1: got 'many'; allowed is a whole number"),
        ("\n\nSTUDIO_URL=gateway\n", {}, "STUDIO_URL in {file}, line 3: got 'gateway'; allowed is a URL"),
        ("", {"WORKERS": "two"}, "STUDIO_WORKERS in the environment: got 'two'; allowed is a whole number from 1"),
        ("", {"GRADLE_JDK": "/opt/jdk"}, "STUDIO_FOREIGN_VARIABLES=STUDIO_GRADLE_JDK"),
        ("STUDIO_PORT='80\n", {}, "STUDIO_PORT in {file}, line 1: this is not read as NAME=VALUE"),
    ],
)
def test_faults(tmp_path: Path, env: str, settings: Mapping[str, str], told: str) -> None:
    """A command with a wrong setting exits with 2 and one line that names it and its place."""
    file = tmp_path / ".env"
    file.write_text(env)
    done = _studio(tmp_path, "models", **settings)
    assert (done.returncode, done.stdout) == (2, "")
    assert told.format(file=file) in done.stderr
    assert done.stderr.count("\n") == 1
    assert "pydantic" not in done.stderr


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("STUDIO_RATE_LIMIT=often", "STUDIO_RATE_LIMIT in {file}, line 2: 'often' is no rate"),
        ("STUDIO_TRUSTED_PROXIES=proxy", "STUDIO_TRUSTED_PROXIES in {file}, line 2: 'proxy' is neither an address"),
        ("STUDIO_CORS_ORIGINS=shop", "STUDIO_CORS_ORIGINS in {file}, line 2: 'shop' is no origin"),
        ("STUDIO_KEYS=secret", "STUDIO_KEYS in {file}, line 2, entry 1: "),
        ("STUDIO_KEYS_FILE=/none", "STUDIO_KEYS_FILE in {file}, line 2: /none cannot be read"),
    ],
)
def test_faults_that_the_gateway_finds(tmp_path: Path, line: str, told: str) -> None:
    """A setting that only the gateway reads is told with its place as well."""
    file = tmp_path / ".env"
    file.write_text(f"# ours\n{line}\n")
    done = _studio(tmp_path, "api", PORT="0")
    assert done.returncode == 2
    assert told.format(file=file) in done.stderr
    assert "secret" not in done.stderr


def test_empty_values(system: System) -> None:
    """With empty values the gateway starts as without them, and keeps its files in the folder of the data."""
    settings = ["PREFETCH", "SECRET_KEY", "DATA_DIR", "KEYS", "PUBLIC_URL", "RATE_LIMIT", "HOST", "STATUSES_URL"]
    system.start_gateway(**{name.lower(): "" for name in settings})
    assert system.client.get("/readyz").status_code == 200
    files = {path.name for path in system.folder.iterdir()}
    assert ".studio" in files
    assert not {"studio.db", "secret_key", "objects"} & files
    assert {"studio.db", "secret_key", "objects"} <= {path.name for path in (system.folder / ".studio").iterdir()}


@pytest.mark.parametrize("folder", ["~/photos", "$HOME/c# & co?", "~/100%25"])
def test_a_home_folder_in_a_file(system: System, folder: str) -> None:
    """A data folder in the home folder is found there, also when `.env` names it, whatever its characters."""
    (system.folder / ".env").write_bytes(f"\ufeffSTUDIO_DATA_DIR='{folder}'\r\n".encode())
    before = {path.name for path in system.folder.iterdir()}
    system.start_gateway()
    assert system.client.get("/readyz").status_code == 200
    data = system.folder / "home" / folder.partition("/")[2]
    assert {"studio.db", "secret_key", "objects"} <= {path.name for path in data.iterdir()}
    assert {path.name for path in system.folder.iterdir()} - before == {"home"}
