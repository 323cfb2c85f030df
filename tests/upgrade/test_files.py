"""An SQLite file of an older or a newer version than the program that opens it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from services.common.catalogue.files import load_catalogue
from tests.support.operator import studio
from tests.support.system import System, running_system
from tests.upgrade.samples import write_file


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    with running_system(tmp_path, {}) as running:
        yield running


def _model(system: System) -> str:
    catalogue = Path(system.environment["STUDIO_CATALOGUE"])
    return load_catalogue(catalogue, Path(__file__).parents[2] / "models" / "styles.toml").default_model.name


def _version(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def test_older_file_is_upgraded(system: System) -> None:
    """This version runs a job that waits in a file of the first version, and writes its own version into the file."""
    job_id = write_file(system.folder / "studio.db", _model(system))
    system.start_gateway()
    system.start_worker()

    assert system.wait(job_id)["state"] == "succeeded"
    assert system.wait(system.submit("afterwards")["id"])["state"] == "succeeded"
    assert _version(system.folder / "studio.db") == 1


def test_newer_file_is_unchanged(system: System) -> None:
    """A file of a newer version stops the start with a sentence and exit code 3, and is not written to."""
    file = system.folder / "studio.db"
    write_file(file, _model(system))
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 2")

    for command in (["api"], ["jobs"], ["job", "x"]):
        done = studio(system, *command)
        assert done.returncode == 3, done.stderr
    assert "studio.db of version 2, which this version of the program cannot read" in done.stderr
    assert _version(file) == 2
